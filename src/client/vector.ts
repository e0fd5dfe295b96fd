import { FIRST_METER, type Arena } from "./arena.ts";
import type { Usage } from "./types.ts";

/** Meters one client may name: the catalogue has two dozen, and an operator may add more. */
const METERS_MAX = 256;

/** What an operation counts, made ready for a hot loop: where each meter stands in an account's row, and how much of it. */
export class Vector {
  readonly usage: Usage;
  readonly offsets: Int32Array;
  readonly amounts: Float64Array;

  constructor(usage: Usage, offsets: readonly number[], amounts: readonly number[]) {
    this.usage = usage;
    this.offsets = Int32Array.from(offsets);
    this.amounts = Float64Array.from(amounts);
  }
}

/** The meter at an offset of a row. */
export const meterAt = (offset: number): number => offset - FIRST_METER;

/** A number for each meter's name, in the order they were first named. Every row has room for every meter that has one. */
export class MeterNames {
  readonly names: string[] = [];
  readonly #arena: Arena;
  readonly #numbers = new Map<string, number>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The meter's number; −1 when there are too many. */
  numberOf(name: string): number {
    return this.#numbers.get(name) ?? this.#add(name);
  }

  /** Where a meter that was named before stands in a row, else −1. */
  offsetOf(name: string): number {
    const number = this.#numbers.get(name);
    return number === undefined ? -1 : FIRST_METER + number;
  }

  /** Throws a `TypeError` for what is no usage. */
  vector(usage: Usage): Vector {
    const entries = Object.entries(usage).filter(([, amount]) => amount !== 0);
    for (const [name, amount] of entries) {
      if (!isQuantity(amount)) throw new TypeError(`usage.${name} must be an integer from 0 to 2^53 − 1`);
      if (this.numberOf(name) < 0) throw new TypeError(`More than ${METERS_MAX} meters are named`);
    }
    return new Vector(
      Object.freeze({ ...usage }),
      entries.map(([name]) => this.offsetOf(name)),
      entries.map(([, amount]) => amount),
    );
  }

  #add(name: string): number {
    if (this.names.length >= METERS_MAX) return -1;
    this.#arena.fit(this.names.length + 1);
    this.#numbers.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}

export const isQuantity = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
