/** What one stretch of one subject came to. */
export interface Sample {
  /** Calls (or rows, events …) a second. */
  rate: number;
  p50Ms: number;
  p99Ms: number;
}

/** One thing that is measured beside others. */
export interface Subject {
  name: string;
  run(): Promise<Sample>;
}

/** Every subject's samples, by round: the nth of each were taken one after the other. */
export type Rounds = ReadonlyMap<string, readonly Sample[]>;

/**
 * Measures the subjects in turn, round by round, so that whatever else the machine does falls on all of them. The order turns with each
 * round: nobody always comes after the same neighbour. One round before the first warms up and is thrown away.
 */
export async function interleave(subjects: readonly Subject[], rounds: number): Promise<Rounds> {
  for (const subject of subjects) await subject.run();
  const samples = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + round) % subjects.length];
      if (subject) samples.get(subject.name)?.push(await subject.run());
    }
  }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** A figure of a subject beside its baseline's: both medians, and the median of the rounds' own ratios. */
export function beside(
  rounds: Rounds,
  name: string,
  baseline: string,
  of: (sample: Sample) => number,
): { value: number; baseline: number; ratio: number } {
  const own = (rounds.get(name) ?? []).map(of);
  const others = (rounds.get(baseline) ?? []).map(of);
  return { value: median(own), baseline: median(others), ratio: median(own.map((value, i) => value / (others[i] ?? Number.NaN))) };
}

export const rate = ({ rate: r }: Sample): number => r;
export const p50 = ({ p50Ms }: Sample): number => p50Ms;
export const p99 = ({ p99Ms }: Sample): number => p99Ms;
