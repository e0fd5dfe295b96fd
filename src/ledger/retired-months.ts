import { sleep } from "../kernel/clock.ts";
import { WeirError } from "../kernel/errors.ts";
import { iso } from "../kernel/window.ts";
import { MAINTENANCE_LOCK, openMaintenance, type Maintenance } from "../stores/maintenance.ts";

/** In one go: what a deployment lets go of that sets WEIR_LEDGER_KEPT_MONTHS after years. The rest goes an hour later. */
const MONTHS_AT_ONCE = 24;
/** A try waits a quarter of a second for whoever reads or books, and keeps others waiting so long. */
const TRIES = 20;
const PAUSE_MS = 250;
const LOCK_NOT_AVAILABLE = "55P03";

/** Usage of the months that ended by then is not kept, where so many whole months are. Epoch ms. */
export function endOfKeeping(keptMonths: number, now: number): number {
  const today = new Date(now);
  return Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - keptMonths);
}

/**
 * Retires and detaches the ledger's months that ended `keptMonths` whole months ago or earlier and that nothing needs any more, the oldest first
 * (docs/decisions/0045); answers their partitions, which are tables by themselves from then on. Each step is whole or not done: where one was
 * interrupted, the next call goes on. While another process is at it, or where this user does not own the tables, it does nothing.
 */
export async function detachOldMonths(databaseUrl: string, keptMonths: number, now: number): Promise<string[]> {
  const maintenance = openMaintenance(databaseUrl);
  try {
    if (!(await mayDetach(maintenance))) return [];
    const detached: string[] = [];
    while (detached.length < MONTHS_AT_ONCE) {
      const partition = (await halfDone(maintenance)) ?? (await patiently(() => retireNext(maintenance, keptMonths, now)));
      if (partition === null) break;
      const done = await patiently(async () => {
        await maintenance.ask("select weir_detach_month($1::text, $2::timestamptz)", [partition, iso(now)]);
        return true;
      });
      if (done === null) break;
      detached.push(partition);
    }
    return detached;
  } finally {
    await maintenance.close();
  }
}

async function mayDetach(maintenance: Maintenance): Promise<boolean> {
  const [owner] = await maintenance.ask<{ mine: boolean }>(
    "select pg_has_role(relowner, 'usage') as mine from pg_class where oid = 'usage_buckets'::regclass",
    [],
  );
  if (owner?.mine !== true) return false;
  const [lock] = await maintenance.ask<{ mine: boolean }>("select pg_try_advisory_lock($1::bigint) as mine", [MAINTENANCE_LOCK]);
  return lock?.mine === true;
}

/** A month that was retired and not detached: somebody was in the way, or the process ended. */
async function halfDone(maintenance: Maintenance): Promise<string | null> {
  const [month] = await maintenance.ask<{ partition: string }>(
    "select partition from retired_months where detached_at is null order by month limit 1",
    [],
  );
  return month?.partition ?? null;
}

/** The partition of the month that was retired; null where none is old enough, or where the oldest is needed still. */
async function retireNext(maintenance: Maintenance, keptMonths: number, now: number): Promise<string | null> {
  const [month] = await maintenance.ask<{ partition: string; reason: string | null }>(
    "select partition, reason from weir_retire_month($1::timestamptz, $2::timestamptz)",
    [iso(endOfKeeping(keptMonths, now)), iso(now)],
  );
  return month && month.reason === null ? month.partition : null;
}

/** Tries again while others are in the way; null where they still are after TRIES. */
async function patiently<T>(step: () => Promise<T>): Promise<T | null> {
  for (let tries = 1; tries <= TRIES; tries += 1) {
    try {
      return await step();
    } catch (error) {
      const cause = error instanceof WeirError ? error.cause : error;
      if ((cause as { code?: unknown } | undefined)?.code !== LOCK_NOT_AVAILABLE) throw error;
      await sleep(PAUSE_MS);
    }
  }
  return null;
}
