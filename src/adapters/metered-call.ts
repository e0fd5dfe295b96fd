import { monotonicMs } from "../kernel/clock.ts";
import { holdMost, settlePending, type Held, type Pending, type Want } from "./hold.ts";
import { METER, type MeterPort, type Place, type Usage } from "./port.ts";
import { explain, Tally, undecided, type Lack, type Refusal, type Sizes } from "./tally.ts";

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

/** What was done, or is about to be. */
export interface Done {
  operations?: number;
  rowsRead?: number;
  rowsWritten?: number;
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
  /** False for what happens outside every invocation: where an invocation is the request, it is none. */
  isInvocation?: boolean;
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
  /** Set when it ends: what begins after it must be counted elsewhere. */
  over = false;
  readonly #options: MeteringOptions;
  readonly #runtime: Runtime;
  /** What an operation counts beside its rows. */
  readonly #operation: Usage;
  #holds = 0;
  #told: string | null = null;
  #decision: Decision | null = null;
  #tally = new Tally(null, null);
  /** Whoever needs a new hold waits here for those before. */
  #turn: Promise<unknown> = Promise.resolve();
  #beganAt: number | null = null;
  #begun = false;

  constructor(options: MeteringOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#operation = { [METER.requests]: options.requestPer === "invocation" ? 0 : 1 };
  }

  /** Holds what the call may do. Throws the runtime's denial. */
  async begin(declared: Declared | undefined): Promise<void> {
    const { requestPer, duration } = this.#options;
    const want = this.#wantOf(declared ?? UNDECLARED);
    const isRequest = requestPer === "invocation" && this.#runtime.isInvocation !== false;
    const once: Usage = isRequest ? { [METER.requests]: 1 } : {};
    Object.assign(want.usage, once);
    if (duration !== false) want.usage[METER.duration] = gbMilliseconds(HOLD_WALL_MS);
    await this.#decide(want, declared !== undefined);
    this.#must(this.#tally.lack(duration === false ? once : { ...once, [METER.duration]: 1 }));
    this.#tally.spend(once);
    if (duration !== false) this.#beganAt = monotonicMs();
    this.#begun = true;
  }

  /** Ends the hold and takes another, all of it or nothing: for a call that learns on its way what it will do. */
  hold(declared: Declared): Promise<void> {
    return this.#inTurn(() => this.#decide(this.#wantOf(declared), true));
  }

  /** Counts a write of `bytes` (key and value) before it is done. Throws the runtime's denial. */
  put(key: string, bytes: number): void {
    this.fits(bytes);
    this.#must(this.#tally.put(this.#operation, key, bytes));
  }

  /** Throws the runtime's denial of a write that is larger than one write may be. */
  fits(bytes: number): void {
    const limit = this.#options.payloadBytesMax ?? PAYLOAD_BYTES_MAX;
    if (bytes > limit) throw this.#runtime.deny(explain(tooLarge(bytes, limit)));
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
      await this.afford({ operations: 1, rowsRead: rows(value) });
      return value;
    });
    // Nobody need wait for it.
    counted.catch(() => undefined);
    return counted;
  }

  /** Counts it, out of what is held. Throws the runtime's denial, and counts nothing. */
  spend(done: Done, growthBytes = 0): void {
    this.#must(this.#tally.spend(this.#usageOf(done), growthBytes));
  }

  /** As `spend`, and takes another hold where this one does not reach. */
  async afford(done: Done, growthBytes = 0): Promise<void> {
    const usage = this.#usageOf(done);
    if (this.#tally.spend(usage, growthBytes)) await this.#inTurn(() => this.#spendAfresh(usage, growthBytes));
  }

  /** Makes sure that it could be counted, and does not count it. Throws the runtime's denial. */
  async reach(done: Done): Promise<void> {
    const usage = this.#usageOf(done);
    if (!this.#tally.lack(usage)) return;
    // Taken back within the turn: the next may settle this hold.
    await this.#inTurn(async () => {
      await this.#spendAfresh(usage, 0);
      this.#tally.unspend(usage);
    });
  }

  /** Takes back what was counted and was not done after all. */
  unspend(done: Done, growthBytes = 0): void {
    this.#tally.unspend(this.#usageOf(done), growthBytes);
  }

  /** Counts what was done and gives back the rest; `bytes` is the object's measured size. Repeated, it is the same settlement. */
  async settle(more: Usage = {}, bytes: number | null = null): Promise<void> {
    const pending = this.conclude(more, bytes);
    if (!pending) return;
    await settlePending(this.#options.meter, pending);
    this.told(pending);
  }

  /** What `settle` tells: from now on this hold counts no more, and what is still under way is counted in another. */
  conclude(more: Usage = {}, bytes: number | null = null): Pending | null {
    this.#tally.close();
    return this.pending(more, bytes);
  }

  /** Notes that what `conclude` answered has been told, or is kept to be told. */
  told({ event }: Pending): void {
    this.#told = event.id;
  }

  /** False where a hold is left to be settled. */
  get isSettled(): boolean {
    return this.#decision === null || this.#told === this.#eventId;
  }

  /** What the settlement of the hold of the moment is known by. */
  get #eventId(): string {
    return `${this.#runtime.key}:${this.#holds - 1}`;
  }

  /** What `settle` would tell now; null for a call that holds nothing. */
  pending(more: Usage = {}, bytes: number | null = null): Pending | null {
    if (!this.#decision) return null;
    const { place, held } = this.#decision;
    const event = { source: this.#runtime.source, id: this.#eventId };
    return { place, reservation: held.reservation, actual: this.#tally.actual(more, bytes), event };
  }

  /** False for a call that was refused before it began. */
  get began(): boolean {
    return this.#begun;
  }

  /** The time in memory so far, once. */
  takeDuration(): Usage {
    const from = this.#beganAt;
    this.#beganAt = null;
    return from === null ? {} : { [METER.duration]: gbMilliseconds(monotonicMs() - from) };
  }

  async #spendAfresh(usage: Usage, growthBytes: number): Promise<void> {
    // Another may have taken a new hold while this one waited.
    if (!this.#tally.spend(usage, growthBytes)) return;
    const want = this.#wantOf(UNDECLARED);
    for (const [meter, n] of Object.entries(usage)) want.usage[meter] = Math.max(n, want.usage[meter] ?? 0);
    if (want.growthBytes !== null) want.growthBytes = Math.max(growthBytes, want.growthBytes);
    await this.#decide(want, false);
    this.#must(this.#tally.spend(usage, growthBytes));
  }

  #usageOf({ operations = 0, rowsRead = 0, rowsWritten = 0 }: Done): Usage {
    const requests = operations * (this.#operation[METER.requests] ?? 0);
    return { [METER.requests]: requests, [METER.rowsRead]: rowsRead, [METER.rowsWritten]: rowsWritten };
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

function tooLarge(bytes: number, limit: number): Lack {
  const message = `key and value are ${bytes} bytes; one write may be ${limit}.`;
  return { meter: null, denial: { code: "payload_too_large", meter: null, limit, used: 0, reserved: 0, resetsAt: null, message } };
}
