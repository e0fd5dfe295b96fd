import { findAccount } from "../accounts/account-store.ts";
import { plan, type Catalog } from "../catalog/catalog.ts";
import { dayWindow, iso, monthWindow, windowsAt, type BillingCalendar, type Period, type Window } from "../kernel/window.ts";
import { listCaps } from "../limits/cap-store.ts";
import { thresholdsInForce, type Figure, type TellReached, type Threshold } from "../limits/thresholds.ts";
import type { Db } from "../stores/database.ts";
import { notify } from "./notification-store.ts";

/** Thresholds a process remembers having told: saves asking Postgres again for each count above 80 %. */
const TOLD_MAX = 100_000;

/**
 * Tells of thresholds that are reached: each once per account, meter, window, source, limit and percent. Postgres keeps that promise by
 * a unique key, so many processes may tell at once, again, or after a crash between the crossing and the telling.
 */
export class ThresholdTeller {
  readonly #db: Db;
  readonly #catalog: { readonly catalog: Catalog };
  readonly #told = new Set<string>();

  constructor(db: Db, catalog: { readonly catalog: Catalog }) {
    this.#db = db;
    this.#catalog = catalog;
  }

  /** What is reached, in the order in which it was: a jump over two tells both. */
  readonly tellReached: TellReached = async (account, thresholds, figures, now) => {
    for (const threshold of thresholds) {
      const figure = figures.find((f) => f.meter === threshold.meter && f.period === threshold.period);
      if (figure && figure.used >= threshold.at) await this.#tell(account, threshold, figure, now);
    }
  };

  /** What check.lua noted: `meter/period/window start ms` (`meter/level/0` for a gauge) → used. */
  readonly tellCrossings = async (account: string, crossings: ReadonlyMap<string, string>, now: number): Promise<void> => {
    const found = await findAccount(this.#db, account, now);
    if (!found) return;
    const { catalog } = this.#catalog;
    const thresholds = thresholdsInForce(catalog, plan(catalog, found.plan), await listCaps(this.#db, account));
    for (const [field, used] of crossings)
      await this.tellReached(account, thresholds, figuresOf(field, Number(used), found.calendar, now), now);
  };

  async #tell(account: string, threshold: Threshold, { window, used }: Figure, now: number): Promise<void> {
    const { meter, period, source, limit, percent } = threshold;
    const key = `threshold/${meter}/${period}/${iso(window.start)}/${source}/${limit}/${percent}`;
    if (this.#told.has(`${account}/${key}`)) return;
    const data = { account, meter, period, windowStart: iso(window.start), windowEnd: iso(window.end), percent, limit, used, source };
    await notify(this.#db, account, key, percent === 100 ? "usage.limit_reached" : "usage.threshold_reached", data, now);
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.add(`${account}/${key}`);
  }
}

function figuresOf(field: string, used: number, calendar: BillingCalendar, now: number): Figure[] {
  const [meter = "", kind, start] = field.split("/");
  if (kind === "level") {
    const windows = windowsAt(now, calendar);
    return (["day", "month"] as const).map((period) => ({ meter, period, window: windows[period], used }));
  }
  return [{ meter, period: kind as Period, window: windowFrom(kind as Period, Number(start), calendar), used }];
}

const windowFrom = (period: Period, start: number, calendar: BillingCalendar): Window =>
  period === "day" ? dayWindow(start) : monthWindow(start, calendar);
