import type { CampaignResult } from "./campaign.ts";
import { troubleOf } from "./log-line.ts";
import { percentile, type HonestReport } from "./honest-client.ts";

/** The honest client's slowest hundredth may take so many times as long as when it is alone. */
const SLOWER_MAX = 3;
/** Growth from the second quarter of a run to its last that is still flat: the heap's own breathing. */
const GROWTH_MAX = 1.25;
const P99 = 0.99;
/** Fewer calls of a window, or samples of memory, say nothing. */
const SAMPLES_MIN = 30;
const MEMORY_SAMPLES_MIN = 8;
const MEMORY_SHOWN = 16;
const LOG_KINDS_MAX = 20;
const MIB = 1024 * 1024;

export interface Seen {
  result: CampaignResult;
  raw: readonly { name: string; fault: string | null }[];
  honest: HonestReport;
  running: boolean;
  said: readonly string[];
}

/** Says what was seen; each request counts as a test, and so does each question about the whole run. */
export function verdict({ result, raw, honest, running, said }: Seen, say: (line: string) => void): { passed: number; failed: number } {
  const statuses = [...result.statuses].map(([status, n]) => `${status}: ${n}`).toSorted((a, b) => a.localeCompare(b));
  say(
    `${result.sent} requests; answers ${statuses.join(", ")}; the slowest took ${Math.round(result.slowestMs)} ms, ${result.lateOnce} were late once`,
  );
  say(
    `${result.provedRefusals} refusals were seen to change nothing; ${result.unprovedRefusals} could not be told apart from changes; ${result.movedMeanwhile} times something else moved meanwhile`,
  );
  const memory = memoryGrowth(result.memory);
  say(
    `memory, MiB: ${spread(result.memory)
      .map((bytes) => Math.round(bytes / MIB))
      .join(" ")}; grew ×${memory.toFixed(2)}`,
  );
  const slower = neighbour(honest, say);
  for (const failure of new Set(honest.failures)) say(`    the honest client was answered ${failure.slice(0, 200)}`);
  const questions: [asked: string, well: boolean][] = [
    ["the process lives", running],
    ["memory is flat", result.memory.length < MEMORY_SAMPLES_MIN || memory <= GROWTH_MAX],
    [`the honest client's p99 is within ${SLOWER_MAX}×`, slower <= SLOWER_MAX],
    ["the honest client is served", honest.failures.length === 0],
    ["every refusal could be compared", result.unprovedRefusals === 0],
  ];
  for (const { name, fault } of raw) questions.push([fault === null ? name : `${name}: ${fault}`, fault === null]);
  for (const [asked, well] of questions) if (!well) say(`✗ ${asked}`);
  const kinds = [...new Set(said.map(troubleOf))];
  if (said.length > 0) say(`the process wrote ${said.length} lines to its log:`);
  for (const trouble of kinds.slice(0, LOG_KINDS_MAX)) say(`    ${trouble}`);
  const failed = result.faults + questions.filter(([, well]) => !well).length;
  return { passed: result.sent + questions.length - failed, failed };
}

/**
 * How many times as long the honest client's slowest hundredth took beside the fuzzer: the median over windows, each of which compares
 * two stretches that follow one another. Over all of them a machine that others load for a while would decide.
 */
function neighbour({ windows, failures }: HonestReport, say: (line: string) => void): number {
  const [alone, attacked] = [windows.flatMap((w) => w.alone), windows.flatMap((w) => w.attacked)];
  const full = windows.filter((w) => Math.min(w.alone.length, w.attacked.length) >= SAMPLES_MIN);
  const ratios = full.map((w) => percentile(w.attacked, P99) / percentile(w.alone, P99));
  const slower = percentile(ratios, 0.5);
  const [before, beside] = [percentile(alone, P99), percentile(attacked, P99)];
  say(
    `honest client: p99 ${before.toFixed(1)} ms alone (${alone.length} calls), ${beside.toFixed(1)} ms attacked (${attacked.length} calls), ` +
      `×${(beside / before).toFixed(2)}; in the median of ${full.length} windows ×${slower.toFixed(2)} ` +
      `(by quarters of the run ${quarters(ratios)
        .map((quarter) => percentile(quarter, 0.5).toFixed(2))
        .join(", ")}); ${failures.length} failed`,
  );
  return slower;
}

/** The last quarter's median over the second's: the first warms up. */
function memoryGrowth(samples: readonly number[]): number {
  const [, second = [], , last = []] = quarters(samples);
  return samples.length < MEMORY_SAMPLES_MIN ? 1 : percentile(last, 0.5) / percentile(second, 0.5);
}

const quarters = (samples: readonly number[]): readonly number[][] =>
  [0, 1, 2, 3].map((n) => samples.slice((samples.length * n) / 4, (samples.length * (n + 1)) / 4));

const spread = (samples: readonly number[]): number[] =>
  samples.filter((_, i) => i % Math.max(1, Math.ceil(samples.length / MEMORY_SHOWN)) === 0);
