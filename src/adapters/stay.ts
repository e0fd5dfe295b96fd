import { monotonicMs } from "../kernel/clock.ts";
import { randomBase62 } from "../kernel/ids.ts";
import type { EnterCall } from "./enter.ts";
import { settlePending } from "./hold.ts";
import { gbMilliseconds, MeteredCall, type Declared, type MeteringOptions } from "./metered-call.ts";
import type { Outbox } from "./outbox.ts";
import { METER, type Place, type Usage } from "./port.ts";
import { undecided, type Refusal } from "./tally.ts";

/** What a runtime brings that keeps objects in memory and replays nothing. */
export interface StayRuntime {
  place: Place;
  /** The runtime's name in the ids of what is counted, and the object's own id there. */
  family: string;
  id: string;
  source: string;
  /** The runtime's own final error. */
  deny: (refusal: Refusal) => Error;
  /** The refusal in what a handler threw, where something has wrapped it; else what was thrown. */
  refusalIn: (error: unknown) => unknown;
  /** The object's stored bytes; null where nobody knows. */
  measure: () => Promise<number | null>;
  /** Keeps what was counted beside what it is about; null: what a kill interrupts may go uncounted. */
  outbox: Outbox | null;
}

/** An object in memory, from when it wakes to when it sleeps: its calls are numbered from 0, and the time that passes in it is counted once. */
export class Stay {
  readonly #options: MeteringOptions;
  readonly #runtime: StayRuntime;
  readonly #key: string;
  #calls = 0;
  readonly #since = monotonicMs();
  #durationCounted = 0;
  /** Settlements take their turn: a measured size must not arrive after a later one. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: MeteringOptions, runtime: StayRuntime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#key = `${runtime.family}:${runtime.id}:${randomBase62(12)}`;
  }

  get outbox(): Outbox | null {
    return this.#runtime.outbox;
  }

  /** A new call. `key`, where the caller has one, makes a repeated call the same one. */
  newCall(key?: string, isInvocation = true): MeteredCall {
    const { place, family, source, deny } = this.#runtime;
    return new MeteredCall(this.#options, {
      place,
      key: key === undefined ? this.#nextKey() : `${family}:${place.object}:key:${key}`,
      source,
      writes: true,
      isInvocation,
      deny,
      journal: (_step, decide) => decide(),
    });
  }

  /** Begins `call`, does `work` and settles what was done, whatever became of it: nobody does it again. */
  async carryOut<T>(call: MeteredCall, declared: Declared | undefined, work: () => Promise<T>): Promise<T> {
    let end: { value: T } | { error: unknown };
    try {
      await call.begin(declared);
      end = { value: await work() };
    } catch (error) {
      end = { error: this.#runtime.refusalIn(error) };
    }
    call.over = true;
    await this.#inTurn(() => this.#settle(call));
    if ("error" in end) throw end.error;
    return end.value;
  }

  /** For an operation of `call`. One that its call has not waited for is settled when it ends, not lost. */
  async enterIn(call: MeteredCall): ReturnType<EnterCall> {
    const leave = (): Promise<void> => (call.over ? this.#inTurn(() => this.#settle(call)) : Promise.resolve());
    return { call, leave };
  }

  /** For an operation outside every call: one of its own. */
  readonly enterAlone: EnterCall = async () => {
    const call = this.newCall(undefined, false);
    await call.begin(undefined);
    return { call, leave: () => this.#inTurn(() => this.#settle(call)) };
  };

  /** Counts a change of state that no call made: it has happened. */
  recordStateChange(): Promise<void> {
    const usage = { ...(this.#options.requestPer === "operation" ? { [METER.requests]: 1 } : {}), [METER.rowsWritten]: 1 };
    return this.#record(usage, this.#nextKey());
  }

  /** A request beside every call. False where a limit refuses it. */
  async affordRequest(): Promise<boolean> {
    const { place } = this.#runtime;
    return (await this.#options.meter.check({ ...place, usage: { [METER.requests]: 1 }, idempotencyKey: this.#nextKey() })).allowed;
  }

  /** What is left to tell when the object sleeps or ends. */
  async end(): Promise<void> {
    await this.#inTurn(() => this.#record(this.#takeAwake(), `${this.#key}:end`));
  }

  #nextKey(): string {
    return `${this.#key}:${this.#calls++}`;
  }

  async #settle(call: MeteredCall): Promise<void> {
    const { outbox, deny, measure } = this.#runtime;
    const bytes = await measure();
    if (call.isSettled) return;
    const pending = call.conclude(call.began ? this.#takeAwake() : {}, bytes);
    if (!pending) return;
    try {
      await settlePending(this.#options.meter, pending);
    } catch (error) {
      // Kept beside what it is about, it is as good as told: the next settlement, or the next stay, tells it.
      if (!outbox) throw deny(undecided(error));
      await outbox.keepForLater(pending);
      call.told(pending);
      return;
    }
    call.told(pending);
    await outbox?.settled(pending, this.#options.meter);
  }

  async #record(usage: Usage, id: string): Promise<void> {
    const { place, source, measure } = this.#runtime;
    const bytes = await measure();
    const storage = bytes === null ? {} : { storageBytes: { set: bytes } };
    await this.#options.meter.record([{ ...place, usage, ...storage, source, id }]);
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
