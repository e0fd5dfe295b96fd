import type { AccountState } from "./account-state.ts";
import { meterAt } from "./vector.ts";

/** How much of a second's demand is held, at most. A killed holder strands it. */
const HORIZON_S = 1.5;
/** A burst shorter than this says little about a second. */
const ELAPSED_MIN_MS = 20;
/** Operations of the largest kind that a first lease is for. */
const FIRST_OPERATIONS = 64;
/** … and that any lease is for, of a meter that is in use. */
const LEAST_OPERATIONS = 4;
/** What the average keeps of the past each time. It rises at once and falls slowly: too little is a trip, too much only waits. */
const KEPT = 0.6;
/** Nobody spends more than this in a heartbeat. */
const ASK_MAX = 2 ** 50;

/** Takes down what was consumed, by meter number, in `elapsedMs`. */
export function noteDemand(state: AccountState, consumed: readonly number[], elapsedMs: number): void {
  const seconds = Math.max(elapsedMs, ELAPSED_MIN_MS) / 1_000;
  state.rates = consumed.map((units, meter) => {
    const rate = units / seconds;
    const before = state.rates[meter] ?? 0;
    return rate > before ? rate : before * KEPT + rate * (1 - KEPT);
  });
}

/** Takes down an operation, so that a lease is for several of its kind. */
export function noteSize(state: AccountState, offsets: ArrayLike<number>, amounts: ArrayLike<number>): void {
  for (let i = 0; i < offsets.length; i++) {
    const meter = meterAt(offsets[i] ?? 0);
    while (state.largest.length <= meter) state.largest.push(0);
    state.largest[meter] = Math.max(state.largest[meter] ?? 0, amounts[i] ?? 0);
  }
}

/** How much more of each meter to ask for, by name. `first`: for a lease that begins. */
export function wanted(state: AccountState, names: readonly string[], first: boolean): Record<string, number> {
  const asks: Record<string, number> = {};
  state.largest.forEach((largest, meter) => {
    if (largest === 0) return;
    const demand = (state.rates[meter] ?? 0) * HORIZON_S;
    // Of a meter that is hardly used any more nothing is held: its operations ask Weir.
    const idle = !first && demand * 4 < largest;
    const target = idle ? 0 : Math.max(demand, largest * (first ? FIRST_OPERATIONS : LEAST_OPERATIONS));
    const ask = Math.min(ASK_MAX, Math.ceil(target - (first ? 0 : state.left(meter))));
    if (ask > 0) asks[names[meter] ?? ""] = ask;
  });
  return asks;
}
