import { systemClock } from "../../src/kernel/clock.ts";
import { iso } from "../../src/kernel/window.ts";
import { openPostgres } from "../../src/stores/database.ts";
import { troubleOf } from "../fuzz/log-line.ts";
import { bookedOf, brokenInvariants, overLimits, strandedOf, sum, type Booked } from "../support/booked.ts";
import type { OpenLoop } from "./open-loop.ts";
import { ADMIN_KEY, type Stage } from "./stage.ts";
import { STORED, type Tenant } from "./tenants.ts";
import type { Traffic } from "./traffic.ts";
import type { Watch } from "./watch.ts";

/** Growth from the first third to the last that is still flat: the heap's own breathing. */
const GROWTH_MAX = 1.25;
/** src/gate/granter.ts: a grant is a hundredth of its limit, at least 100 units, or what the callers of one moment want. */
const CHUNKS_PER_LIMIT = 100;
const CHUNK_MIN = 100;
const WANTED_AT_ONCE = 500;
const AT_ONCE = 8;
const SHOWN_MAX = 20;

/** A question about the whole run, and what speaks against it. */
export interface Question {
  asks: string;
  against: readonly string[];
}

export interface Seen {
  stage: Stage;
  traffic: Traffic;
  tenants: readonly Tenant[];
  watch: Watch;
  loop: OpenLoop;
  /** From usage reports, before the processes were stopped. */
  reported: readonly string[];
}

/** What `GET /v1/usage` of an account says beside what its callers know. */
export async function heldAgainstReports(stage: Stage, tenants: readonly Tenant[]): Promise<string[]> {
  const against: string[] = [];
  for (let i = 0; i < tenants.length; i += AT_ONCE) {
    const part = tenants.slice(i, i + AT_ONCE);
    against.push(...(await Promise.all(part.map((tenant) => heldAgainstReport(stage, tenant)))).flat());
  }
  return against;
}

async function heldAgainstReport(stage: Stage, tenant: Tenant): Promise<string[]> {
  const { account } = tenant;
  const { status, text } = await stage.balancer.ask({ method: "GET", path: "/v1/usage", key: ADMIN_KEY, account });
  if (status !== 200) return [`${account}: usage answers ${status} ${text.slice(0, 200)}`];
  const { usage } = JSON.parse(text) as { usage: { meters: { month: Record<string, number> } } };
  return differences(tenant, [...tenant.acknowledged.keys()], (meter) => usage.meters.month[meter] ?? 0);
}

/** Fewer than acknowledged is lost; more than that and what may have been counted is counted twice. */
function differences({ account, acknowledged, unknown }: Tenant, meters: Iterable<string>, held: (meter: string) => number): string[] {
  return [...meters].flatMap((meter) => {
    const [least, found] = [acknowledged.get(meter) ?? 0, held(meter)];
    const most = least + (unknown.get(meter) ?? 0);
    return found >= least && found <= most
      ? []
      : [`${account} ${meter}: acknowledged ${least}${most > least ? ` to ${most}` : ""}, held ${found}`];
  });
}

/** Asks of the whole run what it promised. Every process has been stopped: what counts is what Postgres has. */
export async function questions({ stage, traffic, tenants, watch, reported }: Seen, say: (line: string) => void): Promise<Question[]> {
  const lost: string[] = [];
  const over: string[] = [...watch.over];
  const strandedMuch: string[] = [];
  let [acknowledged, unknown, stranded] = [0, 0, 0];
  for (const tenant of tenants) {
    const booked = await bookedOf(stage.sql, tenant.account);
    const inAll = (meter: string): number => sum(booked.filter((row: Booked) => row.meter === meter));
    const counters = new Set([...tenant.acknowledged.keys(), ...booked.map(({ meter }) => meter)]);
    counters.delete(STORED);
    lost.push(...differences(tenant, counters, inAll));
    for (const meter of counters) acknowledged += tenant.acknowledged.get(meter) ?? 0;
    for (const quantity of tenant.unknown.values()) unknown += quantity;
    for (const { meter, period, start, limit, over: by } of overLimits(booked, tenant.limits))
      over.push(`${tenant.account} ${meter} per ${period} from ${iso(start)}: ${limit + by} of ${limit}`);
    if (tenant.storedMax !== null && (tenant.acknowledged.get(STORED) ?? 0) > tenant.storedMax)
      over.push(`${tenant.account} stores ${tenant.acknowledged.get(STORED)} of ${tenant.storedMax}`);
    for (const limit of tenant.limits) {
      for (const row of await strandedOf(stage.sql, tenant.account, limit)) {
        stranded += Number(row.stranded);
        const chunk = Math.max(CHUNK_MIN, Math.ceil(limit.limit / CHUNKS_PER_LIMIT)) + WANTED_AT_ONCE;
        if (Number(row.stranded) > chunk)
          strandedMuch.push(`${tenant.account} ${limit.meter} per ${limit.period}: ${row.stranded}, a chunk is ${chunk}`);
      }
    }
  }
  say(
    `counters: ${acknowledged} units acknowledged, ${unknown} that may or may not have been counted; ${stranded} units of hard limits stranded by the failover`,
  );
  const { calm, rolling } = traffic.phases;
  const refusals = (phase: string, unavailable: ReadonlyMap<string, number>): string[] =>
    [...unavailable].map(([says, n]) => `${n} while ${phase}: ${says}`);
  const unsettled = traffic.meters.map((meter) => meter.toJSON()).reduce((n, lease) => n + lease.unsettledLost + lease.unsettled, 0);
  return [
    { asks: "no request broke: none was left without its answer", against: stage.balancer.broken },
    { asks: "no answer but those that a caller should get", against: traffic.faults },
    {
      asks: "no 503 but in the failover",
      against: [...refusals("nothing happened", calm.unavailable), ...refusals("processes were restarted", rolling.unavailable)],
    },
    { asks: "no account is over a limit, at any look and in the end", against: over },
    { asks: "usage as reported is what was acknowledged, to the unit, stored bytes too", against: reported },
    { asks: "the ledger is what was acknowledged, to the unit", against: lost },
    { asks: "every lease was settled", against: unsettled === 0 ? [] : [`${unsettled} were not`] },
    { asks: "a failover strands a chunk of a limit at most", against: strandedMuch },
    { asks: "every invariant of the ledger holds", against: await invariants(stage) },
    {
      asks: "every process that was told to stop ended in good order",
      against: stage.stops
        .filter(({ code }) => code !== 0)
        .map(({ name, code, ms }) => `${name}: ${code ?? "killed"} after ${Math.round(ms)} ms`),
    },
    ...watch.thirds().map(({ name, first, last }) => ({
      asks: `memory of ${name} is flat`,
      // What was never weighed is not flat either.
      against: last / first <= GROWTH_MAX ? [] : [`${first.toFixed(0)} MB, then ${last.toFixed(0)} MB`],
    })),
  ];
}

async function invariants({ databaseUrl }: Stage): Promise<string[]> {
  const postgres = openPostgres(databaseUrl, { poolSize: 1 });
  try {
    return await brokenInvariants(postgres.db, systemClock.now());
  } finally {
    await postgres.close();
  }
}

/** The figures, for people. */
export function figures({ stage, traffic, watch, loop }: Seen, say: (line: string) => void): void {
  say(
    `${loop.sent} operations sent, the latest ${Math.round(loop.latestMs)} ms after it was due; ${traffic.again} requests sent again under their key`,
  );
  for (const [name, { latencies, unavailable }] of Object.entries(traffic.phases)) {
    const ms = (share: number): string => latencies.percentile(share).toFixed(1);
    say(
      `  ${name}: ${latencies.total} answered, p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms; ${[...unavailable.values()].reduce((n, times) => n + times, 0)} times 503`,
    );
  }
  for (const meter of traffic.meters) {
    const { local, direct, denied, grants, settles, unavailable } = meter.toJSON();
    say(
      `  a data plane: ${local} checks decided in memory, ${direct} by Weir, ${denied} denied; ${grants} leases, ${settles} settles, ${unavailable} requests without an answer`,
    );
  }
  const slowest = stage.stops.reduce((ms, stop) => Math.max(ms, stop.ms), 0);
  const { left, refused } = stage.balancer;
  say(
    `${stage.stops.length} processes stopped, the slowest in ${(slowest / 1_000).toFixed(1)} s, ${stage.failedStarts} starts tried again; callers went elsewhere ${left} times, ${refused} requests found nobody and were sent to another`,
  );
  for (const { name, first, last } of watch.thirds())
    say(`  ${name}: ${first.toFixed(0)} MB in the first third, ${last.toFixed(0)} MB in the last (×${(last / first).toFixed(2)})`);
  say(`${watch.looks} looks at accounts with limits, ${watch.over.length} beyond one`);
  const kinds = Map.groupBy(
    stage.said.map((line) => troubleOf(line.replace(/^[^:]+: /, ""))),
    (trouble) => trouble.replace(/\d+/g, "N"),
  );
  for (const [, [first = "", ...more]] of [...kinds].slice(0, SHOWN_MAX)) say(`  said ${more.length + 1} times: ${first}`);
}

/** Says what speaks against each question; the last line is `N passed, N failed`. */
export function conclude(asked: readonly Question[], say: (line: string) => void): boolean {
  for (const { asks, against } of asked) {
    say(`${against.length === 0 ? "✓" : "✗"} ${asks}`);
    for (const what of against.slice(0, SHOWN_MAX)) say(`    ${what}`);
    if (against.length > SHOWN_MAX) say(`    and ${against.length - SHOWN_MAX} more`);
  }
  const failed = asked.filter(({ against }) => against.length > 0).length;
  say(`${asked.length - failed} passed, ${failed} failed`);
  return failed === 0;
}
