import type { Result } from "./result.ts";

/** How long and how often things are measured. */
export interface Profile {
  name: "full" | "quick";
  /** Rounds that count; never fewer than five. */
  rounds: number;
  /** Length of one stretch of one subject, milliseconds. */
  stretchMs: number;
  soakMs: number;
  /** The largest of each growth curve. */
  objects: number;
  accounts: number;
  historyMonths: number;
  /** A system that is full. */
  size: { accounts: number; objects: number; steadyMs: number };
  /** A year of the ledger. */
  year: { accounts: number };
}

export const PROFILES: Readonly<Record<Profile["name"], Profile>> = {
  full: {
    name: "full",
    rounds: 7,
    stretchMs: 3_000,
    soakMs: 600_000,
    objects: 1_000_000,
    accounts: 100_000,
    historyMonths: 12,
    size: { accounts: 1_000_000, objects: 1_000_000, steadyMs: 60_000 },
    year: { accounts: 100_000 },
  },
  quick: {
    name: "quick",
    rounds: 5,
    stretchMs: 500,
    soakMs: 15_000,
    objects: 100_000,
    accounts: 10_000,
    historyMonths: 12,
    size: { accounts: 1_000, objects: 10_000, steadyMs: 4_000 },
    year: { accounts: 2_000 },
  },
};

/** A migrated, empty database and an empty Redis, append-only as in production. */
export interface Addresses {
  databaseUrl: string;
  redisUrl: string;
}

/** What a benchmark is given: stores that nobody else uses, and the time it may take. */
export interface Bench extends Addresses {
  profile: Profile;
  /** Stores of a second system, where the suite asks for one. */
  second: Addresses | null;
  /** An empty folder. */
  dataDir: string;
  /** To people, on stderr. */
  say(line: string): void;
  /** Run in reverse order when the benchmark has ended, however it ended. */
  closers: (() => Promise<void> | void)[];
}

/** What a file of suite/ exports. */
export interface Suite {
  /** One sentence for readers: what is measured, against what. */
  title: string;
  /** Whether two systems are compared, each on stores of its own. */
  needsSecond?: boolean;
  run: (bench: Bench) => Promise<Result[]>;
}

/** In the order of the report. Each is a file of suite/. */
export const SUITES = [
  "in-process",
  "redis-path",
  "http",
  "events",
  "roll-up",
  "history",
  "unblocking",
  "growth",
  "invoices",
  "size",
  "year",
  "soak",
] as const;
export type SuiteName = (typeof SUITES)[number];
