import { createHash } from "node:crypto";
import { monotonicMs, type Clock } from "../kernel/clock.ts";
import { newId } from "../kernel/ids.ts";
import { DAY_MS, HOUR_MS, iso } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { NotArrived, Refused, type PaymentAdapter } from "./adapter.ts";
import {
  claimMeterEvent,
  endMeterEvent,
  forgetTold,
  newestEvent,
  planMeterEvents,
  type ClaimedUsage,
  type EventEnd,
} from "./meter-event-store.ts";

const MINUTE_MS = 60_000;

/** Usage that is booked later than this after its hour is not told. */
const LATE_MAX_MS = 3 * DAY_MS;
/** The provider takes what is at most 35 days old. */
const OLD_MAX_MS = 34 * DAY_MS;
/** The provider knows an event again for a day at least. */
const KNOWN_AGAIN_MS = 23 * HOUR_MS;
/** Waits after a failure, the last one again and again until the event is too old. */
const RETRY_DELAYS_MS = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS] as const;
/** Who has not said by then how an attempt ended is taken for dead. */
const LEASE_MS = 5 * MINUTE_MS;
const LANES = 4;
/** A run begins nothing new after this; the next one does. */
const RUN_MAX_MS = 30_000;
const PLAN_BATCH = 1_000;
const PLAN_BATCHES_MAX = 100;
const FORGET_BATCH = 5_000;
const ERROR_LENGTH_MAX = 500;

/** By Weir's meter, what it is called at the other side. */
export type MeterNames = Readonly<Record<string, string>>;

/** What a run came to. */
export interface MeterEventReport {
  told: number;
  postponed: number;
}

/**
 * Counts usage at the provider's meters, an event for what was booked of an hour since the last one. How much an event tells is fixed before it is
 * first sent, and its identifier follows from what was told before: sent again it is the same event.
 */
export class MeterEvents {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #adapter: PaymentAdapter;
  readonly #names: MeterNames;
  readonly #from: number | null;

  /** Hours before `from` (epoch ms) are left alone. */
  constructor(db: Db, clock: Clock, adapter: PaymentAdapter, { names, from }: { names: MeterNames; from: number | null }) {
    this.#db = db;
    this.#clock = clock;
    this.#adapter = adapter;
    this.#names = names;
    this.#from = from;
  }

  /** Tells what is due, of hours that are over. Any process, any number of times. */
  async tellDue(): Promise<MeterEventReport> {
    const report: MeterEventReport = { told: 0, postponed: 0 };
    await this.#plan(this.#clock.now());
    const until = monotonicMs() + RUN_MAX_MS;
    await Promise.all(Array.from({ length: LANES }, () => this.#lane(until, report)));
    await forgetTold(this.#db, this.#clock.now() - OLD_MAX_MS - LATE_MAX_MS, FORGET_BATCH);
    return report;
  }

  /** From where the last run looked, less what may have come late since; after days away, from further back. */
  async #plan(now: number): Promise<void> {
    const newest = (await newestEvent(this.#db)) ?? now;
    const from = Math.max(now - OLD_MAX_MS, Math.min(now, newest) - LATE_MAX_MS, this.#from ?? 0);
    const span = { from: Math.ceil(from / HOUR_MS) * HOUR_MS, to: Math.floor(now / HOUR_MS) * HOUR_MS };
    const meters = Object.keys(this.#names);
    for (let batch = 0; batch < PLAN_BATCHES_MAX; batch++) {
      if ((await planMeterEvents(this.#db, this.#adapter.provider, meters, span, PLAN_BATCH, now)) < PLAN_BATCH) return;
    }
  }

  async #lane(until: number, report: MeterEventReport): Promise<void> {
    while (monotonicMs() < until) {
      const now = this.#clock.now();
      const patience = { oldest: now - OLD_MAX_MS, certainAfter: now - KNOWN_AGAIN_MS, until: now + LEASE_MS };
      const claimed = await claimMeterEvent(this.#db, this.#adapter.provider, newId("lease"), patience, now);
      if (!claimed) return;
      const end = await this.#tell(claimed);
      await endMeterEvent(this.#db, claimed, end);
      if (end.told) report.told += 1;
      else report.postponed += 1;
    }
  }

  async #tell(claimed: ClaimedUsage): Promise<EventEnd> {
    const { meter, customer, sent, pending, bucket, failures } = claimed;
    try {
      // A meter that is not named any more waits until it is.
      const name = this.#names[meter];
      if (name === undefined) throw new NotArrived(`${meter} has no name at the other side.`);
      await this.#adapter.count({ identifier: identifierOf(claimed), customer, name, quantity: pending - sent, at: bucket });
      return { told: true };
    } catch (error) {
      const delay = RETRY_DELAYS_MS[failures] ?? RETRY_DELAYS_MS.at(-1) ?? 0;
      const message = error instanceof Error ? error.message : String(error);
      const certain = error instanceof NotArrived || error instanceof Refused;
      return { told: false, certain, error: message.slice(0, ERROR_LENGTH_MAX), nextAt: this.#clock.now() + delay };
    }
  }
}

/** Of the hour, and of what was told of it before. */
function identifierOf({ account, meter, bucket, sent }: ClaimedUsage): string {
  const hash = createHash("sha256").update(`${account}/${meter}/${iso(bucket)}/${sent}`);
  return `weir_${hash.digest("base64url")}`;
}
