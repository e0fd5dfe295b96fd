/** Numbers in [0, 1). */
export type Random = () => number;

/** A seeded generator (mulberry32, public domain): the same seed gives the same traffic on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Draws an index with a chance proportional to its weight. Weights are ≥ 0 and not all 0. */
export function weighted(weights: readonly number[]): (random: Random) => number {
  const cumulative: number[] = [];
  let sum = 0;
  for (const weight of weights) cumulative.push((sum += weight));
  return (random) => firstAbove(cumulative, random() * sum);
}

/** Draws a rank from 0 to n − 1 under Zipf's law: rank r has the weight 1 / (r + 1)^alpha. Exact, for any alpha ≥ 0. */
export const zipf = (n: number, alpha: number): ((random: Random) => number) =>
  weighted(Array.from({ length: n }, (_, r) => (r + 1) ** -alpha));

/** The first index whose cumulative weight lies above `x`. */
function firstAbove(cumulative: readonly number[], x: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulative[middle] ?? 0) > x) high = middle;
    else low = middle + 1;
  }
  return low;
}
