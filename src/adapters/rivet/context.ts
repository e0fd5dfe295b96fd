import { counted, type Surface } from "../counted-surface.ts";
import { countedState } from "../counted-state.ts";
import type { EnterCall } from "../enter.ts";
import type { MeteredCall } from "../metered-call.ts";
import { overlay } from "../overlay.ts";
import { SURFACES } from "./surfaces.ts";
import type { ActorName, Wake } from "./wake.ts";

/** What is used of an actor's context. */
export interface Context extends ActorName {
  state: object;
  db: { transaction(callback: unknown, options?: { experimental?: { includeState?: boolean } }): Promise<unknown> };
  [member: string]: unknown;
}

/** What handlers see: the actor's context, with what is counted in `call`, or, with null, in a call of its own for every operation. */
export function meteredContext(c: Context, { stay, state }: Wake, call: MeteredCall | null): Context {
  const enter: EnterCall = () => (call && !call.over ? stay.enterIn(call) : stay.enterAlone());
  const members = call ? countedState(c, call, state) : {};
  for (const [name, table] of Object.entries(SURFACES)) atFirst(members, name, () => counted(c[name] as Surface, table, enter));
  atFirst(members, "db", () => withoutStateTransactions(c.db));
  return overlay(c, members);
}

/** A member that is made when it is first asked for: not every actor has each. */
function atFirst(members: object, name: string, make: () => unknown): void {
  let made: { value: unknown } | null = null;
  Object.defineProperty(members, name, { get: () => (made ??= { value: make() }).value });
}

const withoutStateTransactions = (db: Context["db"]): Context["db"] =>
  overlay(db, {
    transaction: ((callback, options) => {
      if (!options?.experimental?.includeState) return db.transaction(callback, options);
      throw new TypeError("A transaction that includes the state passes the meter by: change the state beside it.");
    }) satisfies Context["db"]["transaction"],
  });
