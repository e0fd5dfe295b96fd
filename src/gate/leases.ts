import type { Leased, LeaseOperation, LeaseReply } from "../counters/lease-call.ts";
import { hardLimit, type PeriodCounters } from "../counters/layout.ts";
import { meterOfTotal } from "../counters/lease-record.ts";
import { findMeter } from "../catalog/catalog.ts";
import { isUnavailable, notFound, unavailable, unlessUnavailable, WeirError } from "../kernel/errors.ts";
import { PERIODS } from "../kernel/window.ts";
import { presentEpoch } from "../ledger/epoch-store.ts";
import { bookedByLease, findLease, lastExpiryElsewhere, noteReturned, type LeaseRow } from "../ledger/lease-store.ts";
import { rollUpAccounts } from "../ledger/roll-up.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";
import { ENDING_KEPT_MS } from "./check.ts";
import { wishFor, type CreditRaises } from "./credit-limits.ts";
import { ForeignSums } from "./foreign-sums.ts";
import type { Granter } from "./granter.ts";
import { knownLease, leaseId, readLeaseId, toGrant, toLook, toSettle, type LeaseName } from "./lease.ts";
import { leaseAnswer, type LeaseAnswer } from "./lease-answer.ts";
import type { LeaseRequest, LeaseSettle } from "./lease-request.ts";
import { LeaseRows } from "./lease-rows.ts";
import { settleLate } from "./settle-late.ts";

/** Rounds of load, look up, grant and write before a call gives up: as for a check. */
const ROUNDS_MAX = 64;
const COME_BACK_S = 1;
/** A fair holder is lent at most half of its part of what is left. */
const FAIR_PART = 2;

type Unknown = Extract<LeaseReply, { status: "unknown" }>;

/**
 * Lends parts of limits to holders, which spend them in memory. What is lent is held against its limits until it is settled or given
 * back, never until a time: a holder that is gone strands it, at most until the window ends. Before a holder hears of a grant Postgres
 * has it (docs/decisions/0008), so that no loss of Redis and no end of an epoch can lend it again.
 */
export class Leases {
  readonly #stores: GateStores;
  readonly #loader: AccountLoader;
  readonly #granter: Granter;
  readonly #credits: CreditRaises;
  readonly #sums: ForeignSums;
  readonly #rows: LeaseRows;

  constructor(stores: GateStores, loader: AccountLoader, granter: Granter, credits: CreditRaises) {
    this.#stores = stores;
    this.#loader = loader;
    this.#granter = granter;
    this.#credits = credits;
    this.#sums = new ForeignSums(stores, loader);
    this.#rows = new LeaseRows(stores.db);
  }

  /**
   * Lends as much of each meter as is asked for and there is, perhaps nothing. Throws `validation_failed`, `not_found` (account),
   * `idempotency_mismatch`, `rate_limited` (too many leases) and `unavailable`.
   */
  async grant(request: LeaseRequest, now: number): Promise<LeaseAnswer> {
    const operation = toGrant(this.#stores.catalog, request, now);
    await this.#coverWithCredits(operation, now);
    await this.#makeRoom(operation, now);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const before = request.idempotencyKey === undefined ? null : await findLease(this.#stores.db, operation.account, operation.lease);
      if (before) {
        if (before.requestHash !== operation.requestHash) throw mismatch();
        return this.#settle(toLook(operation), now);
      }
      const reply = await this.#run(operation, now);
      if (reply.status === "unknown") continue;
      const granted = await this.#firm(operation, reply, request.holder ?? "", now);
      if (granted) return leaseAnswer(operation, reply, granted, now);
    }
    throw unavailable("A steady view of the account");
  }

  /** Takes a holder's account of what it has spent, and lends more where it asks. Throws `not_found`, `validation_failed`, `unavailable`. */
  async settle(id: string, request: LeaseSettle, now: number): Promise<LeaseAnswer> {
    return this.#settle(toSettle(this.#stores.catalog, named(id), request, now), now);
  }

  /**
   * Takes back what is not spent, once; may be repeated. Of a lease that has expired, only once its holder has settled it since: until then
   * nobody knows what it has spent, and it stays lent. Throws `not_found` and `unavailable`.
   */
  async giveBack(id: string, now: number): Promise<LeaseAnswer> {
    return this.#settle(toSettle(this.#stores.catalog, named(id), null, now), now);
  }

  /** From when on nothing is spent any more that was lent under earlier limits, epoch ms; `now` where nothing is lent. */
  async effectiveBy(account: string, now: number): Promise<number> {
    const { counters, db } = this.#stores;
    const epoch = (await counters.read(account, []))?.header.epoch ?? (await presentEpoch(db, account));
    const [here, elsewhere] = await Promise.all([counters.leases.lastExpiry(account), lastExpiryElsewhere(db, account, epoch, now)]);
    return Math.max(now, here ?? 0, elsewhere ?? 0);
  }

  /** Tells Redis of late settles that it could not be told of. To be called every few seconds. */
  retell(now: number): Promise<void> {
    return this.#sums.retell(now);
  }

  async #settle(operation: LeaseOperation, now: number): Promise<LeaseAnswer> {
    const { db, unbooked } = this.#stores;
    // What was spent is taken down all the same.
    await this.#coverWithCredits(operation, now).catch(unlessUnavailable);
    await this.#makeRoom(operation, now).catch(unlessUnavailable);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const reply = await this.#run(operation, now);
      if (reply.status === "unknown") {
        const row = await findLease(db, operation.account, operation.lease);
        if (!row) throw notFound(`Lease ${leaseId(operation)}`);
        if (row.epoch !== reply.epoch || row.windows.month.end <= reply.monthStart)
          return settleLate(this.#stores, this.#sums, row, operation, now);
        operation.known = knownLease(row, await this.#booked(row, now));
        continue;
      }
      const { header, record } = reply;
      // Of a repeated settle all that Redis has: whoever counted it may not have heard so, and holds no copy then.
      for (const [label, total] of reply.status === "done" ? operation.totals : record.totals) {
        const meter = meterOfTotal(label);
        unbooked.raise(operation.account, operation.lease, header.epoch, record.bucket, label.slice(0, -meter.length - 1), meter, total);
      }
      if (operation.kind === "return" && !reply.record.open) await noteReturned(db, operation, record.seq, now);
      const granted = await this.#firm(operation, reply, "", now);
      if (granted) return leaseAnswer(operation, reply, granted, now);
    }
    throw unavailable("A steady view of the account");
  }

  /** A hot account's branches give back what they have not spent where a holder could otherwise not have what it asks for. */
  async #makeRoom({ account, asks }: LeaseOperation, now: number): Promise<void> {
    const { branches } = this.#stores.counters;
    if (asks.length === 0 || !branches.isHot(account)) return;
    const names = asks.map(([meter]) => meter);
    const home = await branches.look(account, names, now);
    const isShort = asks.some(([meter, quantity]) => {
      const standing = home?.meters.get(meter)?.counters;
      return standing && PERIODS.some((period) => isShortOf(standing[period], quantity));
    });
    if (isShort) await this.#loader.drawBack(account, now, names);
  }

  /** Has credits set aside for what is asked for, as far as they cover it, where the plan stops at them. */
  async #coverWithCredits({ account, asks }: LeaseOperation, now: number): Promise<void> {
    if (!this.#credits.anywhere || asks.length === 0) return;
    const { counters, catalog } = this.#stores;
    const asked = asks.flatMap(([name]) => findMeter(catalog.catalog, name) ?? []);
    if (!(await counters.read(account, []))) await this.#loader.load(account, "absent", 0, now);
    const present = await counters.read(account, asked);
    if (!present) return;
    const month = new Map(asks.map(([name]) => [name, present.meters.get(name)?.month]));
    await this.#credits.raise(account, wishFor(asks, month, true), present.header, now);
  }

  /** Calls the script until it has done what it can, loading and granting as it asks for. */
  async #run(operation: LeaseOperation, now: number): Promise<Leased | Unknown> {
    const { counters } = this.#stores;
    const { account } = operation;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const reply = await counters.leases.run(operation);
      switch (reply.status) {
        case "load":
          await this.#loader.load(account, reply.reason, reply.epoch, now);
          break;
        case "expire":
          await counters.expire(account, now, now + ENDING_KEPT_MS);
          break;
        case "grant":
          await this.#ask(operation, reply, now);
          break;
        case "full":
          throw new WeirError(
            "rate_limited",
            "The account has as many leases as are kept: settle and return those of holders that are gone.",
            {
              retryAfterSeconds: COME_BACK_S,
            },
          );
        case "mismatch":
          throw mismatch();
        default:
          return reply;
      }
    }
    throw unavailable("A steady view of the account");
  }

  async #ask(operation: LeaseOperation, { header, needs }: Extract<LeaseReply, { status: "grant" }>, now: number): Promise<void> {
    try {
      const wants = needs.filter((need) => need.quantity > 0).map((need) => ({ ...need, gauge: false }));
      if (!(await this.#granter.ask(operation.account, header, wants))) {
        await this.#loader.reinstate(operation.account, header.epoch, now);
      }
    } catch (error) {
      // What was spent must be taken down all the same.
      if (operation.kind === "grant" || !isUnavailable(error)) throw error;
      operation.asks = [];
    }
  }

  /**
   * What of a lease its holder may be told of: what Postgres has. Null where the account's life in Redis is not the one that Postgres
   * grants: it has been put right, so ask again.
   */
  async #firm(operation: LeaseOperation, { header, record }: Leased, holder: string, now: number): Promise<Map<string, number> | null> {
    if (record.isFirm || !record.open) return record.granted;
    const { account, lease } = operation;
    const row: LeaseRow = { ...record, account, lease, holder, epoch: header.epoch };
    try {
      if (!(await this.#rows.write(row, now))) {
        await this.#loader.reinstate(account, header.epoch, now);
        return null;
      }
    } catch (error) {
      if (operation.kind === "grant" || !isUnavailable(error)) throw error;
      return record.firm;
    }
    // Nobody waits for it: unnoted, the next settle writes it again.
    void this.#stores.counters.leases.written(account, lease, record.version).catch(() => {});
    return record.granted;
  }

  /** What is booked of a lease once all that Redis holds of the account is. */
  async #booked(row: LeaseRow, now: number): Promise<Map<string, number>> {
    await rollUpAccounts(this.#stores, [row.account], now);
    return bookedByLease(this.#stores.db, row);
  }
}

/** Whether a limit leaves less than twice of what is asked for: a fair part may be half. */
function isShortOf(counters: PeriodCounters, quantity: number): boolean {
  const limit = hardLimit(counters);
  return limit !== null && limit - counters.used - counters.held < FAIR_PART * quantity;
}

function named(id: string): LeaseName {
  const name = readLeaseId(id);
  if (!name) throw notFound(`Lease ${id}`);
  return name;
}

const mismatch = (): WeirError =>
  new WeirError("idempotency_mismatch", "This idempotencyKey was used for a different request; use a new key for a new lease.");
