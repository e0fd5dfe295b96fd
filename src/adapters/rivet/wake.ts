import type { StateCount } from "../counted-state.ts";
import type { MeteringOptions } from "../metered-call.ts";
import { databaseBytes, type Database } from "../metered-sqlite.ts";
import { placeOf, type Naming } from "../names.ts";
import { Outbox } from "../outbox.ts";
import { Stay } from "../stay.ts";

/** The source of this adapter's events. */
export const EVENT_SOURCE = "weir/rivet";
/** Errors around a refusal. */
const CAUSES_MAX = 8;

/** What an actor is known by. */
export interface ActorName {
  actorId: string;
  name: string;
  key: readonly string[];
}

export interface RivetMeterOptions extends MeteringOptions, Naming<ActorName> {
  /** rivetkit's class: what else is thrown it hides from the client. */
  UserError: new (message: string, options: { code: string; metadata: Record<string, string> }) => Error;
  /** A key by which an action that a client repeats is known for the same; undefined where there is none. */
  callKey?: (action: string, args: readonly unknown[]) => string | undefined;
  /** Keeps what was counted in the actor's own database, in the transaction that wrote it: nothing is lost to a kill. Needs `db`. */
  outbox?: boolean;
  /** Told of what could not be reported while nobody waited for it. */
  onTrouble?: (error: unknown) => void;
}

/** An actor from onWake to onSleep. */
export interface Wake {
  readonly stay: Stay;
  readonly state: StateCount;
}

/** An actor that is awake: what its calls hold and count, until it sleeps or is destroyed. `database` is null for an actor without one. */
export function openWake(options: RivetMeterOptions, { actorId, name, key }: ActorName, database: Database | null): Wake {
  const { UserError } = options;
  const state: StateCount = { size: () => null, counted: false };
  const stay = new Stay(options, {
    place: placeOf(options, { actorId, name, key }, name, key.length > 0 ? key.join("/") : actorId),
    family: "rivet",
    id: actorId,
    source: EVENT_SOURCE,
    deny: ({ message, metadata }) => new UserError(message, { code: metadata["code"] ?? "limit_exceeded", metadata }),
    // Drizzle wraps what its database throws: out of a wrapping a refusal would reach the client as an internal error.
    refusalIn: (error) => causesOf(error).find((cause) => cause instanceof UserError) ?? error,
    measure: () => (database ? databaseBytes(database).catch(() => null) : Promise.resolve(state.size())),
    outbox: options.outbox && database ? new Outbox(database) : null,
  });
  return { stay, state };
}

/** An error, and what it was made of. */
function causesOf(error: unknown): unknown[] {
  const causes = [error];
  for (let cause = error; cause instanceof Error && causes.length < CAUSES_MAX; cause = cause.cause) causes.push(cause.cause);
  return causes;
}
