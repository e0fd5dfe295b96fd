/** Buckets by powers of two, each cut in 16: a percentile is right to 4.4 %. */
const PER_OCTAVE = 16;
/** From 1/16 µs up to about 70 minutes. */
const OCTAVES = 36;
const OFFSET = 4 * PER_OCTAVE;

/** Counts how long calls took, in bounded memory however many there are. */
export class Latencies {
  readonly #counts = new Float64Array(OCTAVES * PER_OCTAVE);
  #total = 0;

  add(ms: number): void {
    const bucket = Math.floor(Math.log2(ms * 1000) * PER_OCTAVE) + OFFSET;
    const index = bucket > 0 ? Math.min(bucket, this.#counts.length - 1) : 0;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
  }

  get total(): number {
    return this.#total;
  }

  /** Milliseconds below which `share` of all calls stayed. */
  percentile(share: number): number {
    let left = this.#total * share;
    for (let i = 0; i < this.#counts.length; i++) {
      left -= this.#counts[i] ?? 0;
      if (left <= 0) return 2 ** ((i + 1 - OFFSET) / PER_OCTAVE) / 1000;
    }
    return 0;
  }
}
