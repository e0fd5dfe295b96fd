import { dirtyCount, rolledUpAt } from "../counters/collect.ts";
import type { Counters } from "../counters/counters.ts";
import { redisFacts } from "../counters/server-facts.ts";
import { listParked } from "../invoices/parked-store.ts";
import type { Clock } from "../kernel/clock.ts";
import { WeirError } from "../kernel/errors.ts";
import { DAY_MS, dayWindow } from "../kernel/window.ts";
import { checkInvariants } from "../ledger/invariants.ts";
import { usageSetAside } from "../ledger/set-aside-store.ts";
import { mostStranded } from "../ledger/stranded-store.ts";
import type { LedgerUpkeep } from "../ledger/upkeep.ts";
import { disabledWebhooks } from "../notifications/webhook-store.ts";
import type { Db } from "../stores/database.ts";
import { failedHandOvers } from "../payments/hand-over-store.ts";
import { parkedEvents } from "../payments/meter-event-store.ts";
import { postgresFacts } from "../stores/migration-state.ts";
import { clockFinding } from "./clock-finding.ts";
import { failed, type Finding } from "./finding.ts";
import { handOverFinding, invariantFindings, parkedFinding, rollUpFinding, strandedFinding } from "./ledger-findings.ts";
import { keptMonthsFinding, setAsideFinding } from "./retention-findings.ts";
import { webhookFinding } from "./webhook-finding.ts";
import { postgresFindings, redisFindings } from "./store-findings.ts";

/** Stranded limits that are named, the largest first. */
const STRANDED_SHOWN = 10;
/** Parked accounts that are named. */
const PARKED_SHOWN = 10;
/** Hand-overs that were given up and are named. */
const HAND_OVERS_SHOWN = 10;
/** Endpoints out of use that are named. */
const WEBHOOKS_SHOWN = 10;
/** Accounts' meters of which usage was set aside and that are named. */
const SET_ASIDE_SHOWN = 10;
/** No billing month that is open began earlier. */
const MONTH_MAX_MS = 31 * DAY_MS;

/** Looks at the stores, the roll-up, stranded budget, what the ledger keeps and every invariant of it. */
export async function examine(
  { db, counters }: { db: Db; counters: Counters },
  upkeep: Pick<LedgerUpkeep, "keptMonths">,
  clock: Clock,
): Promise<Finding[]> {
  const now = clock.now();
  const { redis: servers, keys } = counters;
  const since = { day: dayWindow(now).start, month: now - MONTH_MAX_MS };
  const aheadMs: [string, number][] = [];
  const postgres = await part("postgres", async () => {
    const facts = await postgresFacts(db, clock);
    aheadMs.push(["Postgres", facts.aheadMs]);
    return postgresFindings(facts);
  });
  const redis = await part("redis", async () => {
    const facts = await Promise.all(servers.all().map((server) => redisFacts(server, clock)));
    aheadMs.push(...facts.map((of): [string, number] => ["Redis", of.aheadMs]));
    return facts.flatMap(redisFindings);
  });
  const ledger: Finding[] = [];
  if (!isAway(redis)) {
    const look = async (): Promise<Finding[]> => [rollUpFinding(await dirtyCount(servers, keys), await rolledUpAt(servers, keys), now)];
    ledger.push(...(await part("rollup", look)));
  }
  if (!isAway(postgres)) {
    ledger.push(...(await part("stranded budget", async () => [strandedFinding(await mostStranded(db, since, STRANDED_SHOWN), now)])));
    ledger.push(...(await part("billing", async () => [parkedFinding(await listParked(db, "", PARKED_SHOWN))])));
    ledger.push(
      ...(await part("payments", async () => [handOverFinding(await failedHandOvers(db, HAND_OVERS_SHOWN), await parkedEvents(db))])),
    );
    ledger.push(...(await part("ledger months", async () => [keptMonthsFinding(await upkeep.keptMonths())])));
    ledger.push(...(await part("usage set aside", async () => [setAsideFinding(await usageSetAside(db, SET_ASIDE_SHOWN))])));
    ledger.push(...(await part("webhooks", async () => [webhookFinding(await disabledWebhooks(db, WEBHOOKS_SHOWN))])));
    ledger.push(...(await part("invariants", async () => invariantFindings(await checkInvariants(db, now)))));
  }
  return [...postgres, ...redis, clockFinding(clock, aheadMs), ...ledger];
}

const AWAY = "does not answer";

const isAway = ([first]: readonly Finding[]): boolean => first?.found === AWAY;

/** A part that is away is a finding; the rest is looked at all the same. */
async function part(check: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof WeirError && error.code === "unavailable")) throw error;
    return [failed(check, AWAY, "Start it, and see DATABASE_URL and REDIS_URL; the server's log says more.")];
  }
}
