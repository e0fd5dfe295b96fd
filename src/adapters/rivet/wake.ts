import { monotonicMs } from "../../kernel/clock.ts";
import { randomBase62 } from "../../kernel/ids.ts";
import { settlePending } from "../hold.ts";
import { gbMilliseconds, MeteredCall, type Declared, type MeteringOptions } from "../metered-call.ts";
import { METER, type Place, type Usage } from "../port.ts";
import { undecided, type Refusal } from "../tally.ts";
import { databaseBytes, type Database } from "./database.ts";
import { Outbox } from "./outbox.ts";
import type { EnterCall } from "./enter.ts";

export const EVENT_SOURCE = "weir/rivet";
/** Errors around a refusal. */
const CAUSES_MAX = 8;

/** What an actor is known by. */
export interface ActorName {
  actorId: string;
  name: string;
  key: readonly string[];
}

export interface RivetMeterOptions extends MeteringOptions {
  /** rivetkit's class: what else is thrown it hides from the client. */
  UserError: new (message: string, options: { code: string; metadata: Record<string, string> }) => Error;
  /** Who pays. */
  account: string | ((actor: ActorName) => string);
  /** Namespaces by actor name, where the name made of it does not do. */
  namespaces?: Readonly<Record<string, string>>;
  /** A key by which an action that a client repeats is known for the same; undefined where there is none. */
  callKey?: (action: string, args: readonly unknown[]) => string | undefined;
  /** Keeps what was counted in the actor's own database, in the transaction that wrote it: nothing is lost to a kill. Needs `db`. */
  outbox?: boolean;
  /** Told of what could not be reported while nobody waited for it. */
  onTrouble?: (error: unknown) => void;
}

/** An actor from onWake to onSleep: its calls are numbered from 0, and the time that passes in it is counted once. */
export class Wake {
  readonly place: Place;
  readonly outbox: Outbox | null;
  /** Measures the state, as JSON, once an action has changed it: the size of an actor without a database. */
  stateSize: () => number | null = () => null;
  /** The change that Rivet will announce has been counted in the action that made it. */
  stateCounted = false;
  readonly #options: RivetMeterOptions;
  readonly #database: Database | null;
  readonly #key: string;
  #calls = 0;
  readonly #since = monotonicMs();
  #durationCounted = 0;
  /** Settlements take their turn: a measured size must not arrive after a later one. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RivetMeterOptions, place: Place, actorId: string, database: Database | null) {
    this.place = place;
    this.#options = options;
    this.#database = database;
    this.#key = `rivet:${actorId}:${randomBase62(12)}`;
    this.outbox = options.outbox && database ? new Outbox(database) : null;
  }

  /** A new call. `key`, where the caller has one, makes a repeated action the same call. */
  newCall(key?: string, isInvocation = true): MeteredCall {
    return new MeteredCall(this.#options, {
      place: this.place,
      key: key === undefined ? `${this.#key}:${this.#calls++}` : `rivet:${this.place.object}:key:${key}`,
      source: EVENT_SOURCE,
      writes: true,
      isInvocation,
      deny: (refusal) => this.#deny(refusal),
      journal: (_step, decide) => decide(),
    });
  }

  /** Begins `call`, does `work` and settles what was done, whatever became of it: Rivet does not do it again. */
  async carryOut<T>(call: MeteredCall, declared: Declared | undefined, work: () => Promise<T>): Promise<T> {
    let end: { value: T } | { error: unknown };
    try {
      await call.begin(declared);
      end = { value: await work() };
    } catch (error) {
      end = { error: this.#refusalIn(error) };
    }
    call.over = true;
    await this.#inTurn(() => this.#settle(call));
    if ("error" in end) throw end.error;
    return end.value;
  }

  /** For an operation outside every action: a call of its own. */
  readonly enterAlone: EnterCall = async () => {
    const call = this.newCall(undefined, false);
    await call.begin(undefined);
    return { call, leave: () => this.#inTurn(() => this.#settle(call)) };
  };

  /** Counts a change of state that no action made: it has happened. */
  recordStateChange(): Promise<void> {
    const usage = { ...(this.#options.requestPer === "operation" ? { [METER.requests]: 1 } : {}), [METER.rowsWritten]: 1 };
    return this.#record(usage, `${this.#key}:${this.#calls++}`);
  }

  /** One for every 20 messages of a WebSocket. False where a limit refuses it. */
  async affordMessages(): Promise<boolean> {
    const { place } = this;
    const idempotencyKey = `${this.#key}:${this.#calls++}`;
    return (await this.#options.meter.check({ ...place, usage: { [METER.requests]: 1 }, idempotencyKey })).allowed;
  }

  /** What is left to tell when the actor sleeps or ends. */
  async end(): Promise<void> {
    await this.#inTurn(() => this.#record(this.#takeAwake(), `${this.#key}:end`));
  }

  async #settle(call: MeteredCall): Promise<void> {
    const pending = call.pending(call.began ? this.#takeAwake() : {}, await this.#bytes());
    if (!pending) return;
    try {
      await settlePending(this.#options.meter, pending);
    } catch (error) {
      // Kept beside what it is about, it is as good as told: the next settlement, or the next wake, tells it.
      if (!this.outbox) throw this.#deny(undecided(error));
      await this.outbox.keepForLater(pending);
      return;
    }
    await this.outbox?.settled(pending, this.#options.meter);
  }

  async #record(usage: Usage, id: string): Promise<void> {
    const bytes = await this.#bytes();
    const storage = bytes === null ? {} : { storageBytes: { set: bytes } };
    await this.#options.meter.record([{ ...this.place, usage, ...storage, source: EVENT_SOURCE, id }]);
  }

  /** Drizzle wraps what its database throws: out of a wrapping a refusal would reach the client as an internal error. */
  #refusalIn(error: unknown): unknown {
    let cause = error;
    for (let depth = 0; depth < CAUSES_MAX; depth++) {
      if (cause instanceof this.#options.UserError) return cause;
      cause = cause instanceof Error ? cause.cause : null;
    }
    return error;
  }

  #deny({ message, metadata }: Refusal): Error {
    return new this.#options.UserError(message, { code: metadata["code"] ?? "limit_exceeded", metadata });
  }

  #bytes(): Promise<number | null> {
    return this.#database ? databaseBytes(this.#database).catch(() => null) : Promise.resolve(this.stateSize());
  }

  /** The time awake that has not been counted yet: rounded up once, not at every call. */
  #takeAwake(): Usage {
    if (this.#options.duration === false) return {};
    const total = gbMilliseconds(monotonicMs() - this.#since);
    const usage = { [METER.duration]: total - this.#durationCounted };
    this.#durationCounted = total;
    return usage;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
