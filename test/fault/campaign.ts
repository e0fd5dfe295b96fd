import { monotonicMs } from "../../src/kernel/clock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { runOnce, type RunReport } from "./run.ts";
import { Stage } from "./stage.ts";

/** Runs on one set of servers; then they are made anew: a year of months in one database is enough. */
const RUNS_PER_STAGE = 60;
const FIRST_DAY = Date.UTC(2026, 10, 21);
const LOG_LINES_MAX = 4_000;

export interface Campaign {
  seed: number;
  seconds: number;
  reports: RunReport[];
  /** Processes that ended without being told to, and were started again. */
  ended: number;
}

/** Runs `runs` runs from `seed` on; run number n has the seed `seed + n`, so one run is repeated with `--runs 1`. */
export async function campaign(options: {
  runs: number;
  seed: number;
  lanes?: number;
  told?: (report: RunReport, n: number) => void;
}): Promise<Campaign> {
  const from = monotonicMs();
  const reports: RunReport[] = [];
  let ended = 0;
  // Runs mostly wait for servers to die and to come back: lanes side by side, each on servers of its own, use what they leave.
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < options.runs) {
      const first = next;
      next += RUNS_PER_STAGE;
      const endedHere = await onStage(options, first, Math.min(options.runs, next), reports);
      ended += endedHere;
    }
  };
  await Promise.all(Array.from({ length: options.lanes ?? 1 }, lane));
  reports.sort((a, b) => a.seed - b.seed);
  return { seed: options.seed, seconds: (monotonicMs() - from) / 1000, reports, ended };
}

async function onStage(options: Parameters<typeof campaign>[0], first: number, end: number, reports: RunReport[]): Promise<number> {
  const dir = tempDir("fault");
  let log: string[] = [];
  const stage = await Stage.open(dir.path, FIRST_DAY, (line) => {
    if (log.length < LOG_LINES_MAX) log.push(line);
  });
  try {
    for (let n = first; n < end; n++) {
      log = [];
      const report = await runOnce(stage, options.seed + n, log).catch((error: unknown) => {
        throw new Error(`Run with seed ${options.seed + n} could not be finished:\n${log.slice(-40).join("\n")}`, { cause: error });
      });
      reports.push(report);
      options.told?.(report, n);
    }
    return stage.ended;
  } finally {
    await stage.close();
    dir.remove();
  }
}

/** What went wrong in a run, with all that is needed to see it again. */
export function describeFailure({ seed, crash, troubles, violations, log }: RunReport): string {
  return [
    `seed ${seed}: ${[crash, ...troubles].join(" + ")}`,
    ...violations.slice(0, 20).map((v) => `  ✗ ${v}`),
    ...log.slice(-60).map((line) => `    ${line}`),
    `  again: npm run test:fault -- --runs 1 --seed ${seed}`,
  ].join("\n");
}
