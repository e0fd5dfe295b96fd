import { notFound, WeirError } from "../kernel/errors.ts";
import { monotonicMs, type Clock } from "../kernel/clock.ts";
import { newId } from "../kernel/ids.ts";
import { DAY_MS, HOUR_MS } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { Refused, type PaymentAdapter, type Provider } from "./adapter.ts";
import {
  bookPayment,
  claimHandOver,
  endHandOver,
  findHandOver,
  listCustomers,
  makeDue,
  planHandOvers,
  rememberCustomer,
  type AttemptEnd,
  type ClaimedHandOver,
  type HandOver,
} from "./hand-over-store.ts";
import { MeterEvents, type MeterEventReport } from "./meter-events.ts";
import { openAdapter, type PaymentOptions } from "./open-adapter.ts";

const MINUTE_MS = 60_000;

/** Waits after the first, second … failure in a row: eleven attempts over nine days. Then it is the operator's. */
export const RETRY_DELAYS_MS = [
  MINUTE_MS,
  5 * MINUTE_MS,
  15 * MINUTE_MS,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  DAY_MS,
  2 * DAY_MS,
  4 * DAY_MS,
] as const;
/** Who has not said by then how an attempt ended is taken for dead. An invoice of 250 items takes 256 calls of a fraction of a second. */
export const LEASE_MS = 15 * MINUTE_MS;
/** Hand-overs under way at once: the other side bounds calls a second. */
const LANES = 4;
/** A run begins nothing new after this; the next one does. */
const RUN_MAX_MS = 30_000;
/** Invoices that are found due in one statement, and statements a run. */
const PLAN_BATCH = 1_000;
const PLAN_BATCHES_MAX = 100;
const ERROR_LENGTH_MAX = 500;

/** What a run of the hand-over came to. */
export interface HandOverReport {
  handedOver: number;
  /** Told that there is nothing more to collect. */
  settled: number;
  postponed: number;
  /** Given up until the operator says otherwise. */
  failed: number;
}

/** Hands finalized invoices over to whoever collects the money, and hears of payments. Off, and without any cost, unless it is configured. */
export class Payments {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #options: PaymentOptions | null;
  #adapter: PaymentAdapter | null = null;
  #meterEvents: MeterEvents | null = null;

  constructor(db: Db, clock: Clock, options: PaymentOptions | null = null) {
    this.#db = db;
    this.#clock = clock;
    this.#options = options;
  }

  /** Loads what the configured provider needs; to be awaited before anything else. Throws one sentence where it is missing. */
  async open(): Promise<void> {
    if (!this.#options) return;
    this.#adapter = await openAdapter(this.#options);
    const { from, meters: names } = this.#options;
    if (Object.keys(names).length > 0) this.#meterEvents = new MeterEvents(this.#db, this.#clock, this.#adapter, { names, from });
  }

  /**
   * Hands over what is due, and tells of invoices that are not to be collected any more. Any process, any number of times: what is due is
   * found in Postgres, and each is with one process at a time.
   */
  async handOverDue(): Promise<HandOverReport> {
    const report: HandOverReport = { handedOver: 0, settled: 0, postponed: 0, failed: 0 };
    const adapter = this.#adapter;
    if (!adapter) return report;
    for (let batch = 0; batch < PLAN_BATCHES_MAX; batch++) {
      const found = await planHandOvers(this.#db, adapter.provider, this.#options?.from ?? null, PLAN_BATCH, this.#clock.now());
      if (found < PLAN_BATCH) break;
    }
    const until = monotonicMs() + RUN_MAX_MS;
    await Promise.all(Array.from({ length: LANES }, () => this.#lane(adapter, until, report)));
    return report;
  }

  /** Counts usage at the provider's meters, where some are named (meter-events.ts). */
  async tellUsage(): Promise<MeterEventReport> {
    return (await this.#meterEvents?.tellDue()) ?? { told: 0, postponed: 0 };
  }

  /** Takes a webhook of the provider's. What it tells for the second time changes nothing. Throws `bad_request`, `not_found`. */
  async receive(provider: PaymentAdapter["provider"], body: Buffer, signature: string): Promise<void> {
    if (this.#adapter?.provider !== provider) throw notFound(`A hand-over of payments to ${provider}`);
    const now = this.#clock.now();
    const told = this.#adapter.read(body, signature, now);
    if (told) await bookPayment(this.#db, provider, told, now);
  }

  /** Where an invoice stands at the other side. Throws `not_found` where nobody was to be told of it. */
  async find(account: string, invoice: string): Promise<HandOver> {
    const found = await findHandOver(this.#db, account, invoice);
    if (!found) throw notFound(`A hand-over of invoice ${invoice}`);
    return found;
  }

  /** Has one that was given up, or that waits, tried again by the next run. Throws `not_found`. */
  async retry(account: string, invoice: string): Promise<HandOver> {
    await makeDue(this.#db, account, invoice, this.#clock.now());
    return this.find(account, invoice);
  }

  /** Whom the account is at each provider that knows it. */
  customers(account: string): Promise<{ provider: Provider; customer: string; createdAt: number }[]> {
    return listCustomers(this.#db, account);
  }

  /** Says whom the account is at a provider, before anything is made for it there. Throws `conflict` where it is somebody else already. */
  async nameCustomer(account: string, provider: Provider, customer: string): Promise<void> {
    const counts = await rememberCustomer(this.#db, account, provider, customer, this.#clock.now());
    if (counts !== customer)
      throw new WeirError("conflict", `The account is ${counts} at ${provider} already, and its invoices are that customer's.`);
  }

  async #lane(adapter: PaymentAdapter, until: number, report: HandOverReport): Promise<void> {
    while (monotonicMs() < until) {
      const now = this.#clock.now();
      const claimed = await claimHandOver(this.#db, adapter.provider, newId("lease"), now, now + LEASE_MS);
      if (!claimed) return;
      const end = await this.#attempt(adapter, claimed);
      await endHandOver(this.#db, claimed, end, this.#clock.now());
      report[COUNTED[end.state]] += 1;
    }
  }

  async #attempt(adapter: PaymentAdapter, { due, state, failures }: ClaimedHandOver): Promise<AttemptEnd> {
    const well = { error: null, refused: false, nextAt: this.#clock.now() };
    try {
      if (state === "paid" || state === "void") {
        // Nothing was sent, so there is nothing to take back.
        if (due.tried) await adapter.withdraw(due, state);
        return { ...well, state: "settled", externalId: null };
      }
      const remember = (customer: string) => rememberCustomer(this.#db, due.account, adapter.provider, customer, this.#clock.now());
      return { ...well, state: "handed_over", externalId: await adapter.handOver(due, remember) };
    } catch (error) {
      const delay = error instanceof Refused && error.final ? undefined : RETRY_DELAYS_MS[failures];
      const now = this.#clock.now();
      return {
        state: delay === undefined ? "failed" : "pending",
        externalId: null,
        error: (error instanceof Error ? error.message : String(error)).slice(0, ERROR_LENGTH_MAX),
        refused: error instanceof Refused,
        nextAt: now + (delay ?? 0),
      };
    }
  }
}

const COUNTED = { handed_over: "handedOver", settled: "settled", pending: "postponed", failed: "failed" } as const;
