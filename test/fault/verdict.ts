import { iso, type Period } from "../../src/kernel/window.ts";
import { bookedOf, brokenInvariants, overLimits, strandedOf, sum, type Booked, type Limit } from "../support/booked.ts";
import { SKEW_MS, type Stage } from "./stage.ts";
import type { Known, Traffic } from "./traffic.ts";

/** The plan's own hard daily limits that traffic touches (catalogue, plan Free). */
const FREE_LIMITS: readonly Limit[] = [
  { meter: "state_requests", period: "day", limit: 100_000 },
  { meter: "state_sqlite_rows_written", period: "day", limit: 100_000 },
];
/** src/gate/granter.ts: a grant is a hundredth of its limit, and at least 100 units, or what the callers of one moment want. */
const CHUNKS_PER_LIMIT = 100;
const CHUNK_MIN = 100;
const CALLERS_AT_ONCE = 16;

export interface Tenant {
  account: string;
  plan: "free" | "pro";
  caps: Limit[];
  /** Largest quantity of state_requests in one operation. */
  quantity: number;
}

export interface Judgement {
  operations: number;
  allowed: number;
  denied: number;
  /** Units beyond a limit, in any window. */
  overshoot: number;
  /** Acknowledged units that Postgres does not have. */
  lost: number;
  /** Units that Postgres has beyond what was acknowledged. */
  twice: number;
  /** The same of operations sent to both primaries of a split brain, where no one can tell. */
  twiceInSplit: number;
  /** Units granted to dead lives of Redis and neither spent nor freed. */
  stranded: number;
  violations: string[];
}

/** Holds the ledger against what the callers know. Everything must be healed and booked. */
export async function judge(facts: {
  stage: Stage;
  traffic: Traffic;
  tenants: readonly Tenant[];
  unknown: number;
  losses: number;
  split: boolean;
}): Promise<Judgement> {
  const { stage, traffic, tenants, unknown, losses, split } = facts;
  const violations = [...traffic.faults, ...(split ? [] : traffic.contradictions)];
  if (unknown > 0) violations.push(`${unknown} outcomes stay unknown: the system did not recover`);
  const judgement: Judgement = {
    operations: traffic.known.length,
    allowed: 0,
    denied: 0,
    overshoot: 0,
    lost: 0,
    twice: 0,
    twiceInSplit: 0,
    stranded: 0,
    violations,
  };
  for (const entry of traffic.known) {
    if (entry.outcome === "allowed") judgement.allowed += 1;
    if (entry.outcome === "denied") judgement.denied += 1;
  }
  for (const tenant of tenants) {
    const booked = await bookedOf(stage.sql, tenant.account);
    holdAgainstCallers(tenant, booked, traffic.known, split, judgement);
    holdAgainstLimits(tenant, booked, judgement);
    await holdStranded(stage, tenant, losses, judgement);
    await holdAgainstReport(stage, traffic, tenant, booked, judgement);
  }
  violations.push(...(await brokenInvariants(stage.db, Math.ceil(stage.now) + SKEW_MS)));
  return judgement;
}

function holdAgainstCallers(
  { account }: Tenant,
  booked: readonly Booked[],
  known: readonly Known[],
  split: boolean,
  judgement: Judgement,
): void {
  const acknowledged = new Map<string, number>();
  // While two primaries answer, each counts what is sent to it once: an operation that was sent again may stand in both.
  const excusable = new Map<string, number>();
  for (const { operation, outcome, sent } of known) {
    if (operation.account !== account) continue;
    for (const [meter, quantity] of Object.entries(operation.usage)) {
      if (outcome === "allowed") acknowledged.set(meter, (acknowledged.get(meter) ?? 0) + quantity);
      if (split && sent > 1) excusable.set(meter, (excusable.get(meter) ?? 0) + quantity);
    }
  }
  for (const meter of new Set([...acknowledged.keys(), ...booked.map((row) => row.meter)])) {
    const truth = acknowledged.get(meter) ?? 0;
    const held = sum(booked.filter((row) => row.meter === meter));
    if (held === truth) continue;
    judgement.lost += Math.max(0, truth - held);
    if (held > truth && held - truth <= (excusable.get(meter) ?? 0)) {
      judgement.twiceInSplit += held - truth;
      continue;
    }
    judgement.twice += Math.max(0, held - truth);
    judgement.violations.push(`${account} ${meter}: acknowledged ${truth}, booked ${held}`);
  }
}

const limitsOf = (tenant: Tenant): readonly Limit[] => (tenant.plan === "free" ? [...tenant.caps, ...FREE_LIMITS] : tenant.caps);

function holdAgainstLimits(tenant: Tenant, booked: readonly Booked[], judgement: Judgement): void {
  for (const { meter, period, limit, start, over } of overLimits(booked, limitsOf(tenant))) {
    judgement.overshoot += over;
    judgement.violations.push(`${tenant.account} ${meter} per ${period} from ${iso(start)}: ${limit + over} of ${limit}`);
  }
}

async function holdStranded(stage: Stage, tenant: Tenant, losses: number, judgement: Judgement): Promise<void> {
  for (const of of limitsOf(tenant)) {
    const { meter, period, limit } = of;
    const rows = await strandedOf(stage.sql, tenant.account, of);
    // One grant, asked for when what was left of the one before did not do for those who asked: that rest is lost with it.
    const chunk = Math.max(CHUNK_MIN, Math.ceil(limit / CHUNKS_PER_LIMIT)) + CALLERS_AT_ONCE * tenant.quantity;
    for (const row of rows) {
      const stranded = Number(row.stranded);
      judgement.stranded += stranded;
      if (stranded <= chunk * losses) continue;
      judgement.violations.push(
        `${tenant.account} ${meter} per ${period} from ${iso(row.start.getTime())}: ${stranded} stranded by ${losses} losses`,
      );
    }
  }
}

async function holdAgainstReport(
  stage: Stage,
  traffic: Traffic,
  tenant: Tenant,
  booked: readonly Booked[],
  judgement: Judgement,
): Promise<void> {
  for (let api = 0; api < stage.apis.length; api++) {
    const { status, body } = await traffic.insist(api, "GET", "/v1/usage", null, tenant.account);
    const report = body as {
      windows?: Record<Period, { start: string; end: string }>;
      usage?: { meters: Record<Period, Record<string, number>> };
    };
    if (status !== 200 || !report.windows || !report.usage) {
      judgement.violations.push(`${tenant.account}: usage answers ${status} ${body.detail}`);
      continue;
    }
    for (const period of ["day", "month"] as const) {
      const { start, end } = report.windows[period];
      for (const meter of ["state_requests", "state_sqlite_rows_written"]) {
        const inWindow = booked.filter(
          (row) => row.meter === meter && iso(row.bucket.getTime()) >= start && iso(row.bucket.getTime()) < end,
        );
        const told = report.usage.meters[period][meter];
        if (told !== sum(inWindow))
          judgement.violations.push(`${tenant.account} ${meter} per ${period}: usage says ${told}, the ledger ${sum(inWindow)}`);
      }
    }
  }
}
