import { monotonicMs } from "../kernel/clock.ts";
import { WeirError } from "../kernel/errors.ts";
import { holdMost, settleOrRecord, type Held, type Want } from "./hold.ts";
import { METER, type MeterPort, type Place, type Usage } from "./port.ts";
import { explain, Tally, type Lack, type Refusal, type Sizes } from "./tally.ts";

/** What is held for a call that does not declare what it does; what it does not use returns when it ends. */
const HOLD_OPERATIONS = 64;
const HOLD_GROWTH_BYTES = 4 * 1024 * 1024;
const HOLD_WALL_MS = 1_000;
/** How long a hold lasts unless told. */
const TTL_SECONDS = 600;
/** The key and value of one write, in bytes: the ceiling of both plans. */
const PAYLOAD_BYTES_MAX = 2 * 1024 * 1024;

/** What a call does at most: all of it is held before it begins, or nothing is done. `operations` is, unless told, the rows' sum. */
export interface Declared {
  operations?: number;
  rowsRead?: number;
  rowsWritten?: number;
  growthBytes?: number;
}

/** A decision as it may be journaled: never a live answer. */
export interface Decision {
  place: Place;
  held: Held;
  sizes: Sizes;
}

/** What every adapter lets its user choose. */
export interface MeteringOptions {
  meter: MeterPort;
  /** The account's name for the service it has deployed. */
  service: string;
  /** Which call is one request: an operation on state, as in the State API, or the invocation, as with Durable Objects. */
  requestPer?: "operation" | "invocation";
  /** Counts time in memory; true unless told. */
  duration?: boolean;
  /** How long a hold lasts, 1–3600. */
  ttlSeconds?: number;
  payloadBytesMax?: number;
}

/** What a runtime brings. */
export interface Runtime {
  place: Place;
  /** Names the call for ever, such as `restate:{invocationId}`. */
  key: string;
  source: string;
  /** False for a call that can only read. */
  writes: boolean;
  /** The runtime's own final error. */
  deny(refusal: Refusal): Error;
  /** Keeps what is decided, so that a replay finds it. */
  journal(step: string, decide: () => Promise<Decision>): PromiseLike<Decision>;
  /** The sizes of the object's keys, as they are before the call. */
  measure?(): Promise<Sizes>;
}

/**
 * One call under metering: a hold, the operations counted against it, one settlement. Holds are numbered from 0 and known as `{key}:{number}`
 * for ever, so that whatever is repeated counts once; a call that outgrows its hold ends it and takes the next.
 */
export class MeteredCall {
  readonly #options: MeteringOptions;
  readonly #runtime: Runtime;
  /** What an operation counts beside its rows. */
  readonly #operation: Usage;
  #holds = 0;
  #decision: Decision | null = null;
  #tally = new Tally(null, null);
  /** Whoever needs a new hold waits here for those before. */
  #turn: Promise<unknown> = Promise.resolve();
  #beganAt: number | null = null;

  constructor(options: MeteringOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#operation = { [METER.requests]: options.requestPer === "invocation" ? 0 : 1 };
  }

  /** Holds what the call may do. Throws the runtime's denial. */
  async begin(declared: Declared | undefined): Promise<void> {
    const { requestPer, duration } = this.#options;
    const want = this.#wantOf(declared ?? UNDECLARED);
    const once: Usage = requestPer === "invocation" ? { [METER.requests]: 1 } : {};
    Object.assign(want.usage, once);
    if (duration !== false) want.usage[METER.duration] = gbMilliseconds(HOLD_WALL_MS);
    await this.#decide(want, declared !== undefined);
    this.#must(this.#tally.spend(once));
    if (duration === false) return;
    this.#must(this.#tally.lack({ [METER.duration]: 1 }));
    this.#beganAt = monotonicMs();
  }

  /** Ends the hold and takes another, all of it or nothing: for a call that learns on its way what it will do. */
  hold(declared: Declared): Promise<void> {
    return this.#inTurn(() => this.#decide(this.#wantOf(declared), true));
  }

  /** Counts a write of `bytes` (key and value) before it is done. Throws the runtime's denial. */
  put(key: string, bytes: number): void {
    const limit = this.#options.payloadBytesMax ?? PAYLOAD_BYTES_MAX;
    if (bytes > limit) throw this.#runtime.deny(explain(tooLarge(bytes, limit)));
    this.#must(this.#tally.put(this.#operation, key, bytes));
  }

  remove(key: string): void {
    this.#must(this.#tally.remove(this.#operation, key));
  }

  removeAll(): void {
    this.#must(this.#tally.removeAll(this.#operation));
  }

  /** Counts a read once its rows are known; what there is no budget for is not handed out. */
  read<T>(reading: Promise<T>, rows: (value: T) => number): Promise<T> {
    const counted = reading.then(async (value) => {
      const usage = { ...this.#operation, [METER.rowsRead]: rows(value) };
      if (this.#tally.spend(usage)) await this.#inTurn(() => this.#spendAfresh(usage));
      return value;
    });
    // Nobody need wait for it.
    counted.catch(() => undefined);
    return counted;
  }

  /** Counts what was done and gives back the rest. Repeated, it is the same settlement. */
  async settle(more: Usage = {}): Promise<void> {
    if (!this.#decision) return;
    const { place, held } = this.#decision;
    const event = { source: this.#runtime.source, id: `${this.#runtime.key}:${this.#holds - 1}` };
    await settleOrRecord(this.#options.meter, place, held.reservation, this.#tally.actual(more), event);
  }

  /** The time in memory so far, once. */
  takeDuration(): Usage {
    const from = this.#beganAt;
    this.#beganAt = null;
    return from === null ? {} : { [METER.duration]: gbMilliseconds(monotonicMs() - from) };
  }

  async #spendAfresh(usage: Usage): Promise<void> {
    // Another read may have taken a new hold while this one waited.
    if (!this.#tally.spend(usage)) return;
    const rowsRead = Math.max(HOLD_OPERATIONS, usage[METER.rowsRead] ?? 0);
    await this.#decide(this.#wantOf({ ...UNDECLARED, rowsRead }), false);
    this.#must(this.#tally.spend(usage));
  }

  async #decide(want: Want, whole: boolean): Promise<void> {
    const { meter, ttlSeconds = TTL_SECONDS } = this.#options;
    const { place, key, writes } = this.#runtime;
    const number = this.#holds;
    const decision = await this.#runtime.journal(String(number), async () => {
      try {
        await this.settle();
        const sizes = number === 0 && writes ? await this.#runtime.measure?.() : null;
        const held = await holdMost(meter, place, want, { key: `${key}:${number}`, ttlSeconds, whole });
        return { place, held, sizes: sizes ?? null };
      } catch (error) {
        throw this.#runtime.deny(undecided(error));
      }
    });
    this.#holds = number + 1;
    this.#tally = new Tally(decision.held, number === 0 ? decision.sizes : this.#tally);
    this.#decision = decision;
    const [refused] = whole ? decision.held.denials : [];
    if (refused) this.#must({ meter: refused.meter, denial: refused });
  }

  #wantOf({ rowsRead = 0, rowsWritten = 0, growthBytes = 0, operations = rowsRead + rowsWritten }: Declared): Want {
    const { writes } = this.#runtime;
    const requests = this.#options.requestPer === "invocation" ? 0 : operations;
    const usage = { [METER.requests]: requests, [METER.rowsRead]: rowsRead, ...(writes ? { [METER.rowsWritten]: rowsWritten } : {}) };
    return { usage, growthBytes: writes ? growthBytes : null };
  }

  #must(lack: Lack | null): void {
    if (lack) throw this.#runtime.deny(explain(lack));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

const UNDECLARED: Declared = {
  operations: HOLD_OPERATIONS,
  rowsRead: HOLD_OPERATIONS,
  rowsWritten: HOLD_OPERATIONS,
  growthBytes: HOLD_GROWTH_BYTES,
};

/** GB-milliseconds of `wallMs` milliseconds in memory at 0.128 GB, rounded up as the catalogue does. */
export const gbMilliseconds = (wallMs: number): number => Math.ceil((Math.ceil(wallMs) * 128) / 1_000);

/** Nothing was decided, so nothing is done: not being asked is not being allowed. */
function undecided(error: unknown): Refusal {
  const code = error instanceof WeirError ? error.code : "unavailable";
  const message = `${code}: ${error instanceof Error ? error.message : String(error)}`;
  return { message, status: code === "unavailable" ? 503 : 500, metadata: { code } };
}

function tooLarge(bytes: number, limit: number): Lack {
  const message = `key and value are ${bytes} bytes; one write may be ${limit}.`;
  return { meter: null, denial: { code: "payload_too_large", meter: null, limit, used: 0, reserved: 0, resetsAt: null, message } };
}
