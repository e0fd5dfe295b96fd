import { unavailable } from "../kernel/errors.ts";
import { leaseKey, LEASE_ROWS_MAX, writeLeases, type LeaseRow } from "../ledger/lease-store.ts";
import type { Db } from "../stores/database.ts";

interface Waiting {
  row: LeaseRow;
  now: number;
  resolve: (written: boolean) => void;
  reject: (error: unknown) => void;
}

/** Leases that wait for Postgres at once; beyond that their holders are told to come again. */
const WAITING_MAX = 50_000;

/**
 * Writes leases down, many in one statement: those that come while one is under way share the next. A holder renews about once a
 * second, so ten thousand of them cost Postgres some dozens of statements a second.
 */
export class LeaseRows {
  readonly #db: Db;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Resolves when it is written; false when it was lent by a life of the account that is over, or its name stands for another grant. */
  write(row: LeaseRow, now: number): Promise<boolean> {
    if (this.#waiting.length >= WAITING_MAX) return Promise.reject(unavailable("Postgres"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ row, now, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // All that are asked for in this turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = takeDistinct(this.#waiting);
      this.#waiting = this.#waiting.filter((w) => !batch.has(w));
      await this.#write([...batch]);
    }
    this.#running = false;
  }

  async #write(batch: Waiting[]): Promise<void> {
    try {
      const now = batch.reduce((latest, w) => Math.max(latest, w.now), 0);
      const written = await writeLeases(
        this.#db,
        batch.map((w) => w.row),
        now,
      );
      for (const { row, resolve } of batch) resolve(written.has(leaseKey(row)));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** The first of each lease: a statement may write a row once. */
function takeDistinct(waiting: readonly Waiting[]): Set<Waiting> {
  const names = new Set<string>();
  const batch = new Set<Waiting>();
  for (const entry of waiting) {
    const name = leaseKey(entry.row);
    if (names.has(name)) continue;
    names.add(name);
    batch.add(entry);
    if (batch.size === LEASE_ROWS_MAX) break;
  }
  return batch;
}
