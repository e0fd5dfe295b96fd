import { findAccountInLife } from "../accounts/account-store.ts";
import type { Account } from "../accounts/account.ts";
import { plan, stopsAtCredits, type Catalog } from "../catalog/catalog.ts";
import type { LoadedAccount } from "../counters/counters.ts";
import { notFound } from "../kernel/errors.ts";
import { DAY_MS, windowsAt } from "../kernel/window.ts";
import { bookedElsewhere } from "../ledger/ledger-store.ts";
import { listCaps } from "../limits/cap-store.ts";
import { creditLimits } from "../limits/credit-limit-store.ts";
import { limitsInForce } from "../limits/in-force.ts";
import { limitSourcesText } from "../limits/limit-sources.ts";
import { lowestThreshold, thresholdsInForce } from "../limits/thresholds.ts";
import type { Db } from "../stores/database.ts";

/** How long an answered idempotency key stays known: until the UTC day after the next begins, at most. */
const KEYS_KEPT_MS = 2 * DAY_MS;

/** The catalogue of the moment, and its version. */
export interface CatalogSource {
  readonly catalog: Catalog;
  readonly version: number;
}

interface LoadedFrom {
  db: Db;
  catalog: CatalogSource;
}

/** The account, and its last life in Redis as Postgres has it. Throws `not_found` for one that does not exist. */
export async function existingInLife(db: Db, account: string, now: number): Promise<{ account: Account; epoch: number }> {
  const found = await findAccountInLife(db, account, now);
  if (!found) throw notFound(`Account ${account}`);
  return found;
}

/**
 * Reads what Redis is to hold of an account in its life `epoch`. What is read after `account` may be newer than its limits version says: then whoever
 * asks Postgres for budget under that version is told that it is an old one.
 */
export async function readLoaded({ db, catalog }: LoadedFrom, account: Account, now: number, epoch: number): Promise<LoadedAccount> {
  const { catalog: document, version } = catalog;
  const { account: accountId } = account;
  const caps = await listCaps(db, accountId);
  const planDocument = plan(document, account.plan);
  const windows = windowsAt(now, account.calendar);
  const of = { account: accountId, monthStart: windows.month.start, plan: account.plan };
  const covered = stopsAtCredits(planDocument) ? await creditLimits(db, of) : new Map<string, number>();
  const limits = limitsInForce(document, planDocument, caps, covered);
  const thresholds = thresholdsInForce(document, planDocument, caps);
  const sums = await bookedElsewhere(db, accountId, epoch, windows);
  const meters = limits.meters.map(({ meter, periods }) => {
    const booked = sums.meters.get(meter.name);
    return {
      meter: meter.name,
      gauge: meter.kind === "gauge",
      level: sums.levels.get(meter.name) ?? 0,
      periods: {
        day: { ...periods.day, base: booked?.day ?? 0, mark: lowestThreshold(thresholds, meter.name, "day") },
        month: { ...periods.month, base: booked?.month ?? 0, mark: lowestThreshold(thresholds, meter.name, "month") },
      },
    };
  });
  return {
    account: accountId,
    epoch,
    limitsVersion: account.limitsVersion,
    catalogVersion: version,
    foreignSeq: sums.foreignSeq,
    windows,
    objectCeiling: limits.objectCeiling,
    payloadCeiling: limits.payloadCeiling,
    hasObjects: sums.hasObjects,
    now,
    // An account's first life has answered no key yet; a later one may have lost some.
    keysColdUntil: epoch > 1 ? now + KEYS_KEPT_MS : 0,
    follows: 0,
    meters,
    limits: limitSourcesText({ catalogVersion: version, plan: account.plan, caps }),
  };
}
