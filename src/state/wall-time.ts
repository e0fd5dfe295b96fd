import { WeirError, type ErrorCode } from "../kernel/errors.ts";
import type { Address, StateContext } from "./context.ts";
import { naming } from "./put-value.ts";

/** Time is held ahead in slices of this length, milliseconds: so much is stranded, at most, when a process dies. */
const SLICE_MS = 10_000;
/** The next slice is asked for when this much of the present one is left. */
const RENEW_BEFORE_MS = 3_000;
/** A hold outlives its slice by far; one whose process died gives its quantity back then. */
const HOLD_TTL_S = 60;

interface Slice {
  hold: string;
  from: number;
  ms: number;
}

/**
 * The wall time of one object that is awake, metered without ever passing a limit: each slice is held before it is lived and settled
 * with what was lived of it. The last slice before a limit is as short as what is left. Calls must not overlap.
 */
export class WallTime {
  readonly #context: StateContext;
  readonly #address: Address;
  readonly #owe: (retry: () => Promise<void>) => void;
  #slice: Slice | null = null;
  /** Milliseconds counted since it woke: the fraction of a GB-ms is rounded up once, not once a slice. */
  #counted = 0;

  /** `owe` takes what could not be counted because a store was away, to be tried again. */
  constructor(context: StateContext, address: Address, owe: (retry: () => Promise<void>) => void) {
    this.#context = context;
    this.#address = address;
    this.#owe = owe;
  }

  get running(): boolean {
    return this.#slice !== null;
  }

  /** True when it is time to `renew`. */
  get due(): boolean {
    return this.#slice !== null && this.#leftMs(this.#slice) <= RENEW_BEFORE_MS;
  }

  /** True when what was held is lived: without a renewal the object must sleep. */
  get over(): boolean {
    return this.#slice !== null && this.#leftMs(this.#slice) <= 0;
  }

  /** Begins. Throws the denial when no time is left. */
  async start(): Promise<void> {
    const now = this.#context.clock.now();
    this.#slice = await this.#hold(now, SLICE_MS);
  }

  /** Holds the next slice, then settles the present one. Throws the denial, or `unavailable`; then the present one goes on. */
  async renew(): Promise<void> {
    const slice = this.#slice;
    if (!slice) return;
    const now = this.#context.clock.now();
    const lived = Math.min(slice.ms, Math.max(0, now - slice.from));
    // What was lived past the slice (a clock that jumped, a process that stood still) is part of the next one.
    const from = slice.from + lived;
    const next = await this.#hold(from, Math.max(0, now - from) + SLICE_MS, lived);
    this.#slice = next;
    await this.#settle(slice.hold, lived);
  }

  /** Counts all that was lived until now, and goes on. Throws as `renew` does. */
  async settle(): Promise<void> {
    await this.renew();
    // Time past the slice went into the next one: that has begun already.
    if (this.#slice && this.#slice.from < this.#context.clock.now()) await this.renew();
  }

  /** Ends: counts what was lived of the slice, and of the time past it what the limits allow. */
  async stop(): Promise<void> {
    const slice = this.#slice;
    if (!slice) return;
    this.#slice = null;
    const lived = Math.max(0, this.#context.clock.now() - slice.from);
    await this.#settle(slice.hold, Math.min(slice.ms, lived));
    if (lived > slice.ms) await this.#addUpTo(slice.from + slice.ms, lived - slice.ms);
    this.#counted = 0;
  }

  #leftMs({ from, ms }: Slice): number {
    return from + ms - this.#context.clock.now();
  }

  /** Holds `ms` from `from` on, or what is left of the limits; `ahead` is what the present slice will still count. */
  async #hold(from: number, ms: number, ahead = 0): Promise<Slice> {
    const now = this.#context.clock.now();
    const ask = (some: number): Promise<string> =>
      this.#context.holds.hold(this.#request(this.#usage(some, this.#counted + ahead)), HOLD_TTL_S, now);
    try {
      return { hold: await ask(ms), from, ms };
    } catch (error) {
      const some = leftOf(error, ms);
      if (some === 0) throw error;
      return { hold: await ask(some), from, ms: some };
    }
  }

  async #addUpTo(from: number, ms: number): Promise<void> {
    const rest = await this.#hold(from, ms).catch((error: unknown) => {
      if (!isDenial(error)) this.#context.onTrouble(error);
      return null;
    });
    if (rest) await this.#settle(rest.hold, rest.ms);
  }

  async #settle(hold: string, lived: number): Promise<void> {
    const usage = this.#usage(lived, this.#counted);
    this.#counted += lived;
    try {
      await this.#count(hold, usage);
    } catch (error) {
      if (hasCode(error, "unavailable")) this.#owe(() => this.#count(hold, usage));
      else this.#context.onTrouble(error);
    }
  }

  async #count(hold: string, usage: Record<string, number>): Promise<void> {
    const now = this.#context.clock.now();
    try {
      await this.#context.holds.settle(hold, usage, now);
    } catch (error) {
      // The clock went past the hold's time: what it held has returned, and what was lived is asked for again.
      if (!hasCode(error, "reservation_expired")) throw error;
      await this.#context.admit(this.#request(usage), now);
    }
  }

  #usage = (wallMs: number, wallMsBefore: number): Record<string, number> => this.#context.usageOf("duration", { wallMs, wallMsBefore });

  #request = (usage: Record<string, number>) => ({ ...naming(this.#address, "duration"), usage });
}

const hasCode = (error: unknown, code: ErrorCode): error is WeirError => error instanceof WeirError && error.code === code;

export const isDenial = (error: unknown): error is WeirError => hasCode(error, "limit_exceeded");

/** Of `ms` that were denied, how many the limits have left. */
function leftOf(error: unknown, ms: number): number {
  if (!isDenial(error)) return 0;
  const denials = error.extra["denials"] as readonly { limit: number; used: number; reserved: number; requested: number }[];
  const shares = denials.map(({ limit, used, reserved, requested }) => Math.floor(((limit - used - reserved) * ms) / requested));
  return Math.max(0, Math.min(...shares));
}
