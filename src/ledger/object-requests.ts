import { findCalendars } from "../accounts/calendar-store.ts";
import { HOUR_MS, monthWindow, type BillingCalendar } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { bookObjectRequests, type RequestBatch, type RequestedObject } from "./object-request-store.ts";

/** The counter whose units are also counted by object. */
const REQUESTS_METER = "state_requests";
/** A billing month begins at a local midnight, and each of the world's is on a quarter of an hour. */
const QUARTER_MS = HOUR_MS / 4;
/** Objects remembered between two bookings, about 200 bytes each; so many are booked at once, and until that is done no more are taken. */
const OBJECTS_MAX = 100_000;
/** Rows of one statement. */
const BATCH_ROWS = 5_000;
/** Object field → requests, by the quarter of an hour they came in. */
type Counts = Map<number, Map<string, number>>;

/**
 * How often each object was asked for, counted where a decision is acknowledged and booked every half minute: a statistic, by which nothing
 * is billed or limited (docs/decisions/0037). A process that is killed takes along what it has not booked.
 */
export class ObjectRequests {
  readonly #db: Db;
  readonly #source: string;
  readonly #onTrouble: (error: unknown) => void;
  #counts: Counts = new Map();
  #size = 0;
  #early = false;
  /** Taken from the counts to be cut into batches. */
  #taken: Counts | null = null;
  /** Cut into batches and not known to be booked: each is sent again under its number until it is. */
  #batches: RequestBatch[] = [];
  #number = 0;
  #booking: Promise<void> | null = null;

  /** `source` names this process in Postgres and no other, ever. */
  constructor(db: Db, source: string, onTrouble: (error: unknown) => void) {
    this.#db = db;
    this.#source = source;
    this.#onTrouble = onTrouble;
  }

  /** Counts what was acknowledged of one object. `field` is `service/namespace/object`. */
  count(account: string, field: string, usage: readonly (readonly [meter: string, quantity: number])[], now: number): void {
    for (const [meter, quantity] of usage) if (meter === REQUESTS_METER && quantity > 0) this.#add(`${account}/${field}`, quantity, now);
  }

  /** Books what was counted until now. Throws where Postgres cannot be reached: it is booked later. */
  async book(now: number): Promise<void> {
    // What was counted after the booking under way began is not in it.
    while (this.#booking) await this.#booking.catch(() => undefined);
    this.#booking = this.#book(now).finally(() => (this.#booking = null));
    await this.#booking;
  }

  #add(key: string, quantity: number, now: number): void {
    if (this.#size >= OBJECTS_MAX) this.#bookEarly(now);
    const quarter = now - (now % QUARTER_MS);
    let counts = this.#counts.get(quarter);
    if (!counts) this.#counts.set(quarter, (counts = new Map()));
    const before = counts.get(key);
    if (before === undefined) {
      if (this.#size >= OBJECTS_MAX) return;
      this.#size += 1;
    }
    counts.set(key, (before ?? 0) + quantity);
  }

  #bookEarly(now: number): void {
    if (this.#early) return;
    this.#early = true;
    void this.book(now)
      .catch(this.#onTrouble)
      .finally(() => (this.#early = false));
  }

  async #book(now: number): Promise<void> {
    // One lot at a time: while Postgres is away what waits is bounded by this lot and the counts of the moment.
    const left = this.#taken;
    this.#taken ??= this.#take();
    await this.#send(now);
    await this.#cut(this.#taken);
    await this.#send(now);
    if (left) await this.#book(now);
  }

  async #send(now: number): Promise<void> {
    for (let batch = this.#batches[0]; batch; batch = this.#batches[0]) {
      await bookObjectRequests(this.#db, batch, now);
      this.#batches.shift();
    }
  }

  async #cut(taken: Counts): Promise<void> {
    const accounts = new Set([...taken.values()].flatMap((counts) => [...counts.keys()].map(accountOf)));
    const calendars = await findCalendars(this.#db, [...accounts]);
    this.#taken = null;
    for (const [quarter, counts] of taken) {
      const rows = rowsOf(counts, quarter, calendars);
      for (let i = 0; i < rows.length; i += BATCH_ROWS) {
        this.#batches.push({ source: this.#source, number: ++this.#number, rows: rows.slice(i, i + BATCH_ROWS) });
      }
    }
  }

  #take(): Counts {
    const taken = this.#counts;
    this.#counts = new Map();
    this.#size = 0;
    return taken;
  }
}

const accountOf = (key: string): string => key.slice(0, key.indexOf("/"));

/** Rows of what came in one quarter of an hour; none for an account that does not exist. */
function rowsOf(counts: ReadonlyMap<string, number>, at: number, calendars: ReadonlyMap<string, BillingCalendar>): RequestedObject[] {
  // Off UTC a month costs some 20 µs to find.
  const months = new Map([...calendars].map(([account, calendar]) => [account, monthWindow(at, calendar).start]));
  return [...counts].flatMap(([key, requests]) => {
    const [account = "", service = "", namespace = "", ...object] = key.split("/");
    const monthStart = months.get(account);
    return monthStart === undefined ? [] : [{ account, service, namespace, object: object.join("/"), monthStart, requests }];
  });
}
