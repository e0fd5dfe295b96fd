/** What is neither measured nor published. Each may be argued with; most can be set on the command line. */
export interface Assumptions {
  /** Share of its capacity that a process is loaded to: what is left carries a neighbour that fails. */
  utilization: number;
  /** p99 of one trip between two machines of one region, milliseconds. */
  tripP99Ms: number;
  /** Share of checks that name an idempotency key, and how long Redis keeps its answer, hours (24 to 48). */
  keyedShare: number;
  keyKeptHours: number;
  /** API processes that one account's checks arrive at: a balancer that hashes the account keeps it low. Each books rows of its own. */
  processesPerAccount: number;
  /** Meters an operation moves, and so rows an account, hour and process: the four of the benchmark. */
  metersPerCheck: number;
  /** How old what is booked may be, seconds. Redis adds up what comes meanwhile, so a longer lag books fewer rows. */
  bookingLagSeconds: number;
  /** From so many checks a second on a process takes a lease of an account (weir/client: `leaseAfter`). */
  leaseFromChecksPerSecond: number;
  /** Memory that one Redis primary may hold, and the share of a machine's that data may fill: the rest is for copies on write. */
  gbPerPrimary: number;
  memoryFill: number;
  /** Each primary and each Postgres has this many others that follow it. */
  replicas: number;
  /** Cores of one Postgres server: two were measured, with everything else on them. */
  coresPerPostgres: number;
  /** Months of hour buckets that are kept. */
  monthsKept: number;
  machine: { cores: number; memoryGb: number; usdPerHour: number };
  usdPerGbMonth: number;
}

export const ASSUMPTIONS: Assumptions = {
  utilization: 0.6,
  tripP99Ms: 0.5,
  keyedShare: 0,
  keyKeptHours: 48,
  processesPerAccount: 2,
  metersPerCheck: 4,
  bookingLagSeconds: 60,
  leaseFromChecksPerSecond: 3,
  gbPerPrimary: 16,
  memoryFill: 0.6,
  replicas: 1,
  coresPerPostgres: 4,
  monthsKept: 13,
  // A round figure for eight cores with four GB each, on demand, at a large cloud; disks alike.
  machine: { cores: 8, memoryGb: 32, usdPerHour: 0.35 },
  usdPerGbMonth: 0.1,
};
