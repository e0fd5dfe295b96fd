import { DAY_MS } from "../kernel/window.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Db } from "../stores/database.ts";
import { indexClosedMonths } from "./closed-months.ts";
import { sumOldDays, type SummedDays } from "./day-sums.ts";
import { ensurePartitions } from "./ledger-store.ts";
import { keptMonths, type KeptMonths } from "./retired-month-store.ts";
import { detachOldMonths, endOfKeeping } from "./retired-months.ts";

/** After how many whole months usage is summed by day, and let go; null for never. */
export interface Retention {
  hoursKeptMonths: number | null;
  ledgerKeptMonths: number | null;
}
export const KEEP_ALL: Retention = { hoursKeptMonths: null, ledgerKeptMonths: null };

/** What the ledger's tables need from time to time. */
export class LedgerUpkeep {
  readonly #db: Db;
  readonly #databaseUrl: string;
  readonly #clock: Clock;
  readonly #retention: Retention;

  constructor(db: Db, databaseUrl: string, clock: Clock, retention: Retention) {
    this.#db = db;
    this.#databaseUrl = databaseUrl;
    this.#clock = clock;
    this.#retention = retention;
  }

  /** Makes the partitions of this month and the next. */
  async preparePartitions(): Promise<void> {
    const now = this.#clock.now();
    await ensurePartitions(this.#db, [now, now + 31 * DAY_MS]);
  }

  /** Indexes the months that are over for reading; answers their partitions. Where this process does not own the tables, `weir migrate` does it. */
  indexClosedMonths(): Promise<string[]> {
    return indexClosedMonths(this.#databaseUrl, this.#clock.now());
  }

  /** Sums hours by day in months that are old enough; nothing unless a deployment wants it. */
  async sumOldDays(): Promise<SummedDays> {
    const { hoursKeptMonths } = this.#retention;
    if (hoursKeptMonths === null) return { hours: 0, days: 0 };
    return sumOldDays(this.#db, hoursKeptMonths, this.#clock.now());
  }

  /** Lets go of months that are older than a deployment keeps; answers their partitions. Where this process does not own the tables, `weir migrate` does it. */
  async detachOldMonths(): Promise<string[]> {
    const { ledgerKeptMonths } = this.#retention;
    return ledgerKeptMonths === null ? [] : detachOldMonths(this.#databaseUrl, ledgerKeptMonths, this.#clock.now());
  }

  /** What the ledger keeps, and what it has let go. */
  keptMonths(): Promise<KeptMonths> {
    const { ledgerKeptMonths } = this.#retention;
    return keptMonths(this.#db, ledgerKeptMonths === null ? null : endOfKeeping(ledgerKeptMonths, this.#clock.now()));
  }
}
