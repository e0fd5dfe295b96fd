import { WeirError } from "../kernel/errors.ts";
import type { Held } from "./hold.ts";
import { METER, type Actual, type Denial, type Usage } from "./port.ts";

/** Bytes by key, as the `state` table has them; null where nobody measured. */
export type Sizes = readonly (readonly [key: string, bytes: number])[] | null;

/** What an operation needs and the hold does not have. */
export interface Lack {
  /** Null for a payload over its ceiling. */
  meter: string | null;
  /** The limit that refused it; null where the hold was spent and its limit was not asked. */
  denial: Denial | null;
}

/** Why a call may not go on: words that begin with a stable code, an HTTP status, and what a program reads of it. */
export interface Refusal {
  message: string;
  status: 413 | 429 | 500 | 503;
  metadata: Record<string, string>;
}

/** What is lacking, as a caller is told: a sentence that begins with its code, a status, and the facts as text. */
export function explain({ meter, denial }: Lack): Refusal {
  const code = denial?.code ?? "limit_exceeded";
  const sentence = denial?.message ?? `more ${meter} than was held for this call: declare what it does.`;
  const { limit, used, resetsAt } = denial ?? {};
  const facts = Object.entries({ code, meter, limit, used, resetsAt }).filter(([, value]) => value !== undefined && value !== null);
  return {
    message: `${code}: ${sentence}`,
    status: code === "payload_too_large" ? 413 : 429,
    metadata: Object.fromEntries(facts.map(([name, value]) => [name, String(value)])),
  };
}

/** Nothing was decided, so nothing is done: not being asked is not being allowed. */
export function undecided(error: unknown): Refusal {
  const code = error instanceof WeirError ? error.code : "unavailable";
  const message = `${code}: ${error instanceof Error ? error.message : String(error)}`;
  return { message, status: code === "unavailable" ? 503 : 500, metadata: { code } };
}

/**
 * The account of one hold: what its operations count, against what was granted. Pure and synchronous, so that `set` can be refused before it
 * is journaled, and the same for every replay. Sizes carry over from hold to hold.
 */
export class Tally {
  readonly #granted: Held | null;
  readonly #used: Usage = {};
  readonly #sizes: Map<string, number>;
  /** Every key's size is known: what is not in the map is not stored. */
  #measured: boolean;
  #delta = 0;
  #closed = false;

  /** `granted` null: nothing limits, what happens is only counted. */
  constructor(granted: Held | null, sizes: Sizes | Tally) {
    this.#granted = granted;
    this.#sizes = sizes instanceof Tally ? sizes.#sizes : new Map(sizes);
    this.#measured = sizes instanceof Tally ? sizes.#measured : sizes !== null;
  }

  /** From now on nothing more is counted here: what is settled is being told, and a later unit would be lost. */
  close(): void {
    this.#closed = true;
  }

  /** What the hold does not have of it. */
  lack(usage: Usage, growth = 0): Lack | null {
    if (this.#closed) return { meter: Object.keys(usage)[0] ?? METER.storage, denial: null };
    if (!this.#granted) return null;
    const { usage: held, growthBytes, denials } = this.#granted;
    const missing = Object.keys(usage).find((meter) => {
      const n = usage[meter] ?? 0;
      return n > 0 && (this.#used[meter] ?? 0) + n > (held[meter] ?? 0);
    });
    const meter = missing ?? (growth > 0 && this.#delta + growth > (growthBytes ?? 0) ? METER.storage : null);
    return meter === null ? null : { meter, denial: denials.find((one) => one.meter === meter) ?? null };
  }

  /** Counts all of it or, answering what is lacking, nothing. */
  spend(usage: Usage, growth = 0): Lack | null {
    const lack = this.lack(usage, growth);
    if (lack) return lack;
    for (const [meter, n] of Object.entries(usage)) this.#used[meter] = (this.#used[meter] ?? 0) + n;
    this.#delta += growth;
    return null;
  }

  /** Takes back what was counted here, or in a hold before: then this one counts so much less. */
  unspend(usage: Usage, growth = 0): void {
    for (const [meter, n] of Object.entries(usage)) this.#used[meter] = (this.#used[meter] ?? 0) - n;
    this.#delta -= growth;
  }

  /** A write of `bytes` (key and value). An unmeasured key counts as new: never too little growth. */
  put(usage: Usage, key: string, bytes: number): Lack | null {
    const lack = this.spend({ ...usage, [METER.rowsWritten]: 1 }, bytes - (this.#sizes.get(key) ?? 0));
    if (lack === null) this.#sizes.set(key, bytes);
    return lack;
  }

  /** A removal: no row where the key is known to be absent, one where nobody knows. */
  remove(usage: Usage, key: string): Lack | null {
    const lack = this.spend({ ...usage, [METER.rowsWritten]: this.isAbsent(key) ? 0 : 1 }, -(this.#sizes.get(key) ?? 0));
    if (lack !== null) return lack;
    if (this.#measured) this.#sizes.delete(key);
    else this.#sizes.set(key, 0);
    return null;
  }

  /** The removal of every key: as many rows, at least one. */
  removeAll(usage: Usage): Lack | null {
    const present = [...this.#sizes.values()].filter((bytes) => bytes > 0);
    const lack = this.spend({ ...usage, [METER.rowsWritten]: Math.max(1, present.length) }, -sum(present));
    if (lack !== null) return lack;
    this.#sizes.clear();
    this.#measured = true;
    return null;
  }

  isAbsent(key: string): boolean {
    return this.#sizes.get(key) === 0 || (this.#measured && !this.#sizes.has(key));
  }

  /** What is settled: every meter that was held, unused ones as 0; `bytes` is the object's size where somebody has measured it since. */
  actual(more: Usage = {}, bytes: number | null = null): Actual {
    const held = Object.keys(this.#granted?.usage ?? {}).map((meter) => [meter, 0]);
    const used = Object.entries(this.#used).map(([meter, n]) => [meter, Math.max(0, n)]);
    const usage: Usage = { ...Object.fromEntries([...held, ...used]), ...more };
    if (this.#granted?.growthBytes === null) return { usage };
    if (bytes !== null) return { usage, storageBytes: { set: bytes } };
    return { usage, storageBytes: this.#measured ? { set: sum([...this.#sizes.values()]) } : { delta: this.#delta } };
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
