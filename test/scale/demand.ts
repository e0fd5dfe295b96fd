/** One of the published request mixes (src/replay/mixes.json, with its source and licence). */
export interface RequestMix {
  kqps: number;
  operations: Readonly<Partial<Record<string, number>>>;
  zipfAlpha: number;
}

/** What a cache's client reads with; everything else changes an object's size, or may. */
const READS: ReadonlySet<string> = new Set(["get", "gets"]);

/** Ranks that are reckoned one by one; those behind them in stretches that grow by this factor. */
const EXACT_RANKS = 2_000;
const STRETCH_GROWTH = 1.02;

/** Things of one popularity: `count` of them, each drawn with `probability`. */
interface Stretch {
  count: number;
  probability: number;
}

/** A part of the load: as much of the accounts, the objects and the requests as one mix has of all mixes' requests. */
export interface Slice {
  /** Of the whole, 0 to 1. */
  share: number;
  writeShare: number;
  zipfAlpha: number;
}

/** The mixes as slices of one load. Popularity of keys stands for that of accounts, unless `skew` says otherwise. */
export function slices(mixes: readonly RequestMix[], skew: number | null): Slice[] {
  const all = mixes.reduce((sum, { kqps }) => sum + kqps, 0);
  return mixes.map(({ kqps, operations, zipfAlpha }) => {
    const counts = Object.entries(operations).map(([name, share = 0]) => ({ share, read: READS.has(name) }));
    // Published shares are rounded: they need not add up to one.
    const total = counts.reduce((sum, { share }) => sum + share, 0);
    const writes = counts.filter(({ read }) => !read).reduce((sum, { share }) => sum + share, 0);
    return { share: kqps / all, writeShare: writes / total, zipfAlpha: skew ?? zipfAlpha };
  });
}

/** `count` things by popularity, Zipf with `alpha`: rank r is drawn as often as r^−alpha. Probabilities add up to one. */
export function popularity(count: number, alpha: number): Stretch[] {
  const stretches: Stretch[] = [];
  for (let rank = 1; rank <= count;) {
    const next = rank <= EXACT_RANKS ? rank + 1 : Math.min(count + 1, Math.ceil(rank * STRETCH_GROWTH));
    const middle = Math.sqrt(rank * (next - 1));
    stretches.push({ count: next - rank, probability: middle ** -alpha });
    rank = next;
  }
  const total = stretches.reduce((sum, s) => sum + s.count * s.probability, 0);
  return stretches.map(({ count: n, probability }) => ({ count: n, probability: probability / total }));
}

/** How many different things `draws` draws touch, on average. */
export function touched(things: readonly Stretch[], draws: number): number {
  return things.reduce((sum, { count, probability }) => sum + count * -Math.expm1(-draws * probability), 0);
}

/** The share of draws that go to things which are drawn at least `rate` times. */
export function busyShare(things: readonly Stretch[], draws: number, rate: number): number {
  return things.filter(({ probability }) => draws * probability >= rate).reduce((sum, s) => sum + s.count * s.probability, 0);
}

/** How many things are drawn at least `rate` times. */
export function busyCount(things: readonly Stretch[], draws: number, rate: number): number {
  return things.filter(({ probability }) => draws * probability >= rate).reduce((sum, { count }) => sum + count, 0);
}
