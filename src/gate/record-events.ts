import { findCalendars } from "../accounts/calendar-store.ts";
import type { ForeignAddition } from "../counters/foreign-call.ts";
import { unavailable } from "../kernel/errors.ts";
import { HOUR_MS } from "../kernel/window.ts";
import { bookEvents, EVENT_LINES_MAX, findEventKeys, isFullBucket, type BookedEvents, type EventLine } from "../ledger/event-store.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";
import { EVENT_AGE_MAX_MS, invalid, isRejected, readEvent, type RejectedEvent, type UsageEvent } from "./event.ts";
import { headroomOf } from "./event-headroom.ts";
import { dateEvents, type DatedEvent } from "./event-lines.ts";
import { moveLevels, type ApplyStorage } from "./event-storage.ts";
import { ForeignSums } from "./foreign-sums.ts";

/** Rounds of finding room and booking. Only batches that race for the last quintillions of a counter need a second. */
const ROUNDS_MAX = 8;

/** Who sends events: an account about itself, or the operator (null) about any. */
export interface EventSender {
  account: string | null;
}

/** The answer to a request: every event is in one of the three. */
export interface RecordedEvents {
  accepted: number;
  duplicates: number;
  /** In the order of the request. */
  rejected: RejectedEvent[];
}

/** What becomes of a request's events, while it is being found out. */
interface Tally extends RecordedEvents {
  /** What Redis must know before the answer, in the order it was booked. */
  told: ForeignAddition[];
}

/** Counts usage after the fact: limits do not refuse it, they only see it from then on. */
export class EventRecorder {
  readonly #stores: GateStores;
  readonly #applyStorage: ApplyStorage;
  readonly #sums: ForeignSums;

  constructor(stores: GateStores, loader: AccountLoader, applyStorage: ApplyStorage) {
    this.#stores = stores;
    this.#applyStorage = applyStorage;
    this.#sums = new ForeignSums(stores, loader);
  }

  /**
   * Counts each event once, however often it is sent. What it answers is in Postgres, and in Redis too unless that did not answer:
   * then usage and limits see it when `retell` gets through. Throws `unavailable` when it is not known whether all were
   * counted; sent again, those that were are duplicates.
   */
  async record(items: readonly unknown[], sender: EventSender, now: number): Promise<RecordedEvents> {
    const tally: Tally = { accepted: 0, duplicates: 0, rejected: [], told: [] };
    const wellFormed = this.#read(items, sender, tally, now);
    const inTime = await this.#dropLate(wellFormed, tally);
    const dated = await this.#date(distinct(inTime, tally), tally);
    await this.#count(dated, tally, now);
    await this.#sums.add(tally.told, now);
    const { accepted, duplicates, rejected } = tally;
    return { accepted, duplicates, rejected: rejected.sort((a, b) => a.index - b.index) };
  }

  /** Tells Redis what it could not be told before. To be called every few seconds. */
  retell(now: number): Promise<void> {
    return this.#sums.retell(now);
  }

  #read(items: readonly unknown[], sender: EventSender, tally: Tally, now: number): UsageEvent[] {
    const events: UsageEvent[] = [];
    items.forEach((item, index) => {
      const event = readEvent(this.#stores.catalog.catalog, sender.account ?? "", item, index, now);
      if (isRejected(event)) tally.rejected.push(event);
      else if (sender.account !== null && sender.account !== event.account) tally.rejected.push(unknownAccount(event));
      else events.push(event);
    });
    return events;
  }

  /** An event that was counted yesterday and is sent again today is a duplicate, not too late: its sender may only have lost the answer. */
  async #dropLate(events: UsageEvent[], tally: Tally): Promise<UsageEvent[]> {
    const late = events.filter((e) => e.late);
    if (late.length === 0) return events;
    const known = await findEventKeys(
      this.#stores.db,
      late.map((e) => e.key),
    );
    for (const event of late) {
      if (known.has(event.key)) tally.duplicates += 1;
      else tally.rejected.push(invalid(event.index, `time: is more than ${EVENT_AGE_MAX_MS / HOUR_MS} hours in the past`));
    }
    return events.filter((e) => !e.late);
  }

  async #date(events: UsageEvent[], tally: Tally): Promise<DatedEvent[]> {
    const byAccount = Map.groupBy(events, (e) => e.account);
    const calendars = await findCalendars(this.#stores.db, [...byAccount.keys()]);
    return [...byAccount].flatMap(([account, own]) => {
      const calendar = calendars.get(account);
      if (calendar) return dateEvents(own, calendar);
      tally.rejected.push(...own.map(unknownAccount));
      return [];
    });
  }

  async #count(events: DatedEvent[], tally: Tally, now: number): Promise<void> {
    let left = events;
    let exact = false;
    for (let round = 0; left.length > 0; round++) {
      if (round === ROUNDS_MAX) throw unavailable("A steady view of the accounts");
      const expected = new Map<string, number>();
      left = await this.#dropOverflowing(left, exact, expected, tally);
      if (round === 0) left = drop(left, await moveLevels(this.#stores.db, left, this.#applyStorage, now), tally);
      const { undecided, full } = await this.#book(left, expected, tally, now);
      left = undecided;
      // Another batch filled a bucket since the glance: from here on by exact sums.
      exact ||= full;
    }
  }

  async #dropOverflowing(events: DatedEvent[], exact: boolean, expected: Map<string, number>, tally: Tally): Promise<DatedEvent[]> {
    const rejected: RejectedEvent[] = [];
    for (const [account, { overflowing, foreignSeq }] of await headroomOf(this.#stores, events, exact)) {
      if (foreignSeq !== null) expected.set(account, foreignSeq);
      for (const { index } of overflowing) rejected.push(invalid(index, "data.usage: a counter of the account would pass 2^53 - 1"));
    }
    return drop(events, rejected, tally);
  }

  /** Answers the events that were not decided on: their account has moved on since it was looked at, or a bucket is full. */
  async #book(events: DatedEvent[], expected: ReadonlyMap<string, number>, tally: Tally, now: number) {
    const undecided: DatedEvent[] = [];
    let full = false;
    for (const part of chunks(events)) {
      const booked = await bookEvents(this.#stores.db, part, expected, now).catch((error: unknown) => {
        if (isFullBucket(error)) return null;
        throw error;
      });
      full ||= booked === null;
      if (booked !== null) this.#countObjects(part, booked);
      undecided.push(...(booked === null ? part : settle(part, booked, tally)));
    }
    return { undecided, full };
  }

  #countObjects(events: readonly DatedEvent[], booked: ReadonlyMap<string, BookedEvents>): void {
    for (const { counted } of booked.values()) {
      for (const place of counted) {
        const event = events[place];
        if (!event || event.object === null) continue;
        const { account, service, namespace, object, usage, at } = event;
        this.#stores.objectRequests.count(account, `${service}/${namespace}/${object}`, usage, at);
      }
    }
  }
}

/** Notes what a statement has done; answers the events it has not decided on. */
function settle(events: readonly DatedEvent[], booked: ReadonlyMap<string, BookedEvents>, tally: Tally): DatedEvent[] {
  let counted = 0;
  for (const [account, { foreignSeq, counted: places }] of booked) {
    counted += places.length;
    // For duplicates too: the process that counted them may have died before it told Redis.
    tally.told.push({ account, foreignSeq, lines: sumLines(places.flatMap((place) => events[place]?.lines ?? [])) });
  }
  const undecided = events.filter((e) => !booked.has(e.account));
  tally.accepted += counted;
  tally.duplicates += events.length - undecided.length - counted;
  return undecided;
}

/** Each bucket's sum by meter: a hundred events of an hour are one line to Redis. */
function sumLines(lines: readonly EventLine[]): ForeignAddition["lines"] {
  const sums = new Map<string, { bucket: number; meter: string; quantity: number }>();
  for (const { bucket, meter, quantity } of lines) {
    const sum = sums.get(`${bucket}/${meter}`);
    if (sum) sum.quantity += quantity;
    else sums.set(`${bucket}/${meter}`, { bucket, meter, quantity });
  }
  return [...sums.values()];
}

/** The first of each key; what follows it in the same request is a duplicate. */
function distinct(events: readonly UsageEvent[], tally: Tally): UsageEvent[] {
  const first = new Map<string, UsageEvent>();
  for (const event of events) {
    if (first.has(event.key)) tally.duplicates += 1;
    else first.set(event.key, event);
  }
  return [...first.values()];
}

function drop(events: DatedEvent[], rejected: readonly RejectedEvent[], tally: Tally): DatedEvent[] {
  if (rejected.length === 0) return events;
  tally.rejected.push(...rejected);
  const gone = new Set(rejected.map((r) => r.index));
  return events.filter((e) => !gone.has(e.index));
}

/** The same words for an account that does not exist and for one that is not the sender's. */
const unknownAccount = ({ index, account }: UsageEvent): RejectedEvent => ({
  index,
  code: "not_found",
  detail: `Account ${account} was not found.`,
});

function* chunks(events: readonly DatedEvent[]): Generator<DatedEvent[]> {
  let part: DatedEvent[] = [];
  let lines = 0;
  for (const event of events) {
    if (part.length > 0 && lines + event.lines.length > EVENT_LINES_MAX) {
      yield part;
      part = [];
      lines = 0;
    }
    part.push(event);
    lines += event.lines.length;
  }
  if (part.length > 0) yield part;
}
