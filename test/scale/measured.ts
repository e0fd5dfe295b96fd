/** What one step costs, as docs/benchmarks.md says. Rates are of one process on at most one core; bytes are those of one thing kept. */
export interface Measured {
  /** Checks of four meters that one Redis server decides in a second. */
  redisChecksPerSecond: number;
  /** p99 of one check through gate and Redis when nothing else is asked, milliseconds. */
  quietCheckP99Ms: number;
  /** `POST /v1/check` a second and API process. */
  httpChecksPerSecond: number;
  /** Decisions a second and API process where each request asks for a hundred. */
  batchedDecisionsPerSecond: number;
  /** One check out of a lease, found by the account's name among ten thousand, nanoseconds. */
  leasedCheckNs: number;
  /** Rows a second that one roll-up brings into one Postgres. */
  bookedRowsPerSecond: number;
  /** Accounts a second whose month one process closes. */
  closedAccountsPerSecond: number;
  redisBytesPerAccount: number;
  redisBytesPerObject: number;
  redisBytesPerIdempotencyKey: number;
  /** Of an hour bucket of one meter, with its two indexes. */
  bytesPerBucketRow: number;
  /** Of an object's booked size, with its two indexes. */
  bytesPerObjectRow: number;
}

/** Where a figure stands: its name in the benchmarks. Always the value, never the ratio. */
const FIGURES = {
  redisChecksPerSecond: "redis_path.concurrency_64.against_raw_script",
  quietCheckP99Ms: "redis_path.concurrency_1.p99_against_raw_script",
  httpChecksPerSecond: "http.check.against_bare_route",
  leasedCheckNs: "in_process.by_id.10000_accounts",
  batchedDecisionsPerSecond: "http.checks_of_100.decisions",
  bookedRowsPerSecond: "roll_up.against_plain_upsert",
  closedAccountsPerSecond: "invoices.10000_accounts",
  redisBytesPerAccount: "growth.redis_bytes_per_account",
  redisBytesPerObject: "growth.redis_bytes_per_object",
  redisBytesPerIdempotencyKey: "growth.redis_bytes_per_idempotency_key",
} as const;

/** 400,000 hour buckets and 300,000 objects, pg_total_relation_size a row, as inserted (Postgres 15, 2026-11-30). */
const BY_HAND = { bytesPerBucketRow: 402, bytesPerObjectRow: 269 } as const;

/**
 * Reads the costs out of the text of docs/benchmarks.md.
 * @throws when a figure is missing or no positive number: the model must not go on with a cost nobody measured.
 */
export function measuredCosts(benchmarks: string): Measured {
  const read = Object.entries(FIGURES).map(([name, figure]) => [name, valueOf(benchmarks, figure)]);
  return { ...BY_HAND, ...(Object.fromEntries(read) as Record<keyof typeof FIGURES, number>) };
}

function valueOf(benchmarks: string, figure: string): number {
  const row = benchmarks.split("\n").find((line) => line.startsWith(`| ${figure} |`));
  const value = Number(row?.split("|")[3]?.trim().replaceAll(",", "") || "missing");
  if (!(value > 0)) throw new Error(`docs/benchmarks.md has no value for ${figure}: run \`npm run bench -- --write\`.`);
  return value;
}
