import { DAY_MS } from "../kernel/window.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Db } from "../stores/database.ts";
import { indexClosedMonths } from "./closed-months.ts";
import { sumOldDays, type SummedDays } from "./day-sums.ts";
import { ensurePartitions } from "./ledger-store.ts";

/** What the ledger's tables need from time to time. */
export class LedgerUpkeep {
  readonly #db: Db;
  readonly #databaseUrl: string;
  readonly #clock: Clock;
  readonly #hoursKeptMonths: number | null;

  /** `hoursKeptMonths`: after so many whole months hours are summed by day; null for never. */
  constructor(db: Db, databaseUrl: string, clock: Clock, hoursKeptMonths: number | null) {
    this.#db = db;
    this.#databaseUrl = databaseUrl;
    this.#clock = clock;
    this.#hoursKeptMonths = hoursKeptMonths;
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
    if (this.#hoursKeptMonths === null) return { hours: 0, days: 0 };
    return sumOldDays(this.#db, this.#hoursKeptMonths, this.#clock.now());
  }
}
