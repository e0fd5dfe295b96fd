import type { Counters, GrantedLimit } from "../counters/counters.ts";
import { hardLimit, type Header, type MeterCounters } from "../counters/layout.ts";
import { PERIODS, type Period } from "../kernel/window.ts";
import { grant, grantLevel, type Want } from "../ledger/epoch-store.ts";
import type { Db } from "../stores/database.ts";

/** A grant is at least this share of its limit: a window then costs Postgres about 100 grants, and a lost Redis strands 1 %. */
const CHUNKS_PER_LIMIT = 100;
/** Small limits are not cut into crumbs. */
const CHUNK_MIN = 100;

/** A meter an operation wants more of than Redis was granted. */
export interface Need {
  meter: string;
  gauge: boolean;
  quantity: number;
  counters: MeterCounters;
}

/** How high a gauge is to be allowed to rise. */
interface LevelWant {
  limit: number;
  top: number;
}

interface Batch {
  header: Header;
  /** `meter/period` → what the epoch is wanted to have been granted in all. */
  wants: Map<string, Want & { needed: number }>;
  levels: Map<string, LevelWant>;
  done: Promise<boolean>;
}

/**
 * Asks Postgres for budget and tells Redis: durably granted first, spendable after. One grant an account at a time; needs that
 * arrive meanwhile join the next one, so 2,000 callers at once cost a handful of grants, not 2,000.
 */
export class Granter {
  readonly #db: Db;
  readonly #counters: Counters;
  readonly #running = new Map<string, Promise<boolean>>();
  readonly #waiting = new Map<string, Batch>();

  constructor(db: Db, counters: Counters) {
    this.#db = db;
    this.#counters = counters;
  }

  /** Resolves when a grant that took these needs into account has been made or refused; false when the epoch or its limits are not the present ones. */
  ask(account: string, header: Header, needs: readonly Need[]): Promise<boolean> {
    const waiting = this.#waiting.get(account);
    const batch = waiting ?? this.#schedule(account, header);
    for (const need of needs) {
      if (need.gauge) addLevel(batch, need);
      else addWants(batch, need);
    }
    return batch.done;
  }

  #schedule(account: string, header: Header): Batch {
    const before = this.#running.get(account) ?? Promise.resolve(false);
    const batch: Batch = { header, wants: new Map(), levels: new Map(), done: Promise.resolve(false) };
    batch.done = before
      .catch(() => false)
      .then(() => {
        this.#waiting.delete(account);
        return this.#grant(account, batch);
      })
      .finally(() => {
        if (this.#running.get(account) === batch.done) this.#running.delete(account);
      });
    this.#waiting.set(account, batch);
    this.#running.set(account, batch.done);
    return batch;
  }

  async #grant(account: string, { header, wants, levels }: Batch): Promise<boolean> {
    const { epoch, limitsVersion } = header;
    const limits: GrantedLimit[] = [];
    if (wants.size > 0) {
      for (const { meter, period, granted, exhausted } of await grant(this.#db, account, epoch, limitsVersion, [...wants.values()])) {
        limits.push({ meter, period, windowStart: header[period].start, granted, more: !exhausted });
      }
    }
    for (const [meter, { limit, top }] of levels) {
      const granted = await grantLevel(this.#db, account, epoch, limitsVersion, meter, limit, top);
      if (granted) limits.push({ meter, period: "level", windowStart: 0, granted: granted.top, more: !granted.exhausted });
    }
    if (limits.length > 0) await this.#counters.grant(account, epoch, limitsVersion, limits);
    return limits.length > 0;
  }
}

function addLevel(batch: Batch, { meter, quantity, counters }: Need): void {
  const limit = [counters.day, counters.month]
    .map(hardLimit)
    .reduce<number | null>((a, b) => (a === null ? b : b === null ? a : Math.min(a, b)), null);
  if (limit === null) return;
  const before = batch.levels.get(meter)?.top ?? counters.day.used + counters.day.held;
  const chunk = Math.ceil(limit / CHUNKS_PER_LIMIT);
  batch.levels.set(meter, { limit, top: Math.min(limit, Math.max(before + quantity, counters.day.granted + chunk)) });
}

function addWants(batch: Batch, { meter, quantity, counters }: Need): void {
  for (const period of PERIODS) {
    const needed = neededIn(counters, period, quantity);
    if (needed === null) continue;
    const limit = hardLimit(counters[period]) ?? 0;
    const key = `${meter}/${period}`;
    const before = batch.wants.get(key);
    // The first need covers all that is spent so far; every further one adds its own quantity.
    const inAll = before ? Math.max(before.needed + quantity, needed) : needed;
    const chunk = Math.max(CHUNK_MIN, Math.ceil(limit / CHUNKS_PER_LIMIT));
    // A correction that gives usage back lets more be spent in all than the limit is; how much more, Postgres knows.
    const want = Math.max(inAll, Math.min(limit, Math.max(counters[period].granted + chunk, before?.want ?? 0)));
    batch.wants.set(key, { meter, period, window: batch.header[period], limit, want, needed: inAll });
  }
}

/** What a period's grant must be for `quantity` more to pass, or null where it suffices or nothing limits. */
function neededIn(counters: MeterCounters, period: Period, quantity: number): number | null {
  const { spent, held, granted } = counters[period];
  if (hardLimit(counters[period]) === null) return null;
  const needed = spent + held + quantity;
  return needed > granted ? needed : null;
}
