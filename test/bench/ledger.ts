import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import type { Profile, SuiteName } from "./bench.ts";
import type { Outcome } from "./run-suite.ts";
import type { Stores } from "./stores.ts";
import { iso } from "../../src/kernel/window.ts";
import { systemClock } from "../../src/kernel/clock.ts";

/** Where it was measured: figures of two machines are not compared. */
export interface MachineFacts {
  cores: number;
  processor: string;
  memoryGb: number;
  node: string;
  redis: string;
  postgres: string;
  platform: string;
}

export interface Report {
  facts: MachineFacts;
  profile: Profile;
  suites: ({ name: SuiteName; at: string } & Outcome)[];
}

/** What has been measured so far, kept on disk: a run that is interrupted goes on with `--resume`. */
export interface Ledger {
  has(name: SuiteName): boolean;
  put(name: SuiteName, outcome: Outcome): Promise<void>;
  report(names: readonly SuiteName[]): Report;
}

const FOLDER = new URL("../../node_modules/.cache/weir-bench/", import.meta.url);

export function machineFacts({ redisVersion, postgresVersion }: Stores): MachineFacts {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    redis: redisVersion,
    postgres: postgresVersion,
    platform: `${process.platform} ${process.arch}`,
  };
}

interface Kept {
  facts: MachineFacts;
  profile: Profile;
  outcomes: Record<string, Outcome & { at: string }>;
}

/** Starts empty, or with `resume` from what an interrupted run of the same profile left on the same machine. */
export async function openLedger(profile: Profile, facts: MachineFacts, resume: boolean): Promise<Ledger> {
  const file = new URL(`${profile.name}.json`, FOLDER);
  await mkdir(FOLDER, { recursive: true });
  const before = resume ? (JSON.parse(await readFile(file, "utf8").catch(() => "null")) as Kept | null) : null;
  const same = before !== null && JSON.stringify([before.facts, before.profile]) === JSON.stringify([facts, profile]);
  const kept: Kept = same ? before : { facts, profile, outcomes: {} };
  return {
    has: (name) => kept.outcomes[name]?.error === null,
    put: async (name, outcome) => {
      kept.outcomes[name] = { ...outcome, at: iso(systemClock.now()) };
      await writeFile(file, JSON.stringify(kept));
    },
    report: (names) => ({
      facts,
      profile,
      suites: names.flatMap((name) => {
        const outcome = kept.outcomes[name];
        return outcome ? [{ name, ...outcome }] : [];
      }),
    }),
  };
}
