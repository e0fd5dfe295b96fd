import { sleep } from "../../src/kernel/clock.ts";
import { DAY_MS, dayWindow, monthWindow } from "../../src/kernel/window.ts";
import { seededRandom, type Random } from "../../src/replay/random.ts";
import { CRASHES, TROUBLES, type Fault } from "./faults.ts";
import type { Stage } from "./stage.ts";
import { Traffic, type Operation } from "./traffic.ts";
import { judge, type Judgement, type Tenant } from "./verdict.ts";

const CALLERS = 6;
const LOAD_MS = 450;
const TROUBLES_MAX = 2;
/** One run in so many has no crash, only troubles. */
const CALM_SHARE = 0.12;
const BEFORE_STEP_MS = 60_000;
const SETTLE_ATTEMPTS = 200;
const UTC = { anchorDay: 1, timezone: "UTC" };

export interface RunReport extends Judgement {
  seed: number;
  crash: string;
  troubles: string[];
  log: string[];
}

/** One run: new accounts, callers, faults while they call, then everything is healed, booked and held against what the callers know. */
export async function runOnce(stage: Stage, seed: number, log: string[]): Promise<RunReport> {
  const random = seededRandom(seed);
  const say = (line: string): void => void log.push(line);
  const crash = random() < CALM_SHARE ? null : choose(CRASHES, random);
  const troubles = Array.from({ length: Math.floor(random() * (TROUBLES_MAX + 1)) }, () => choose(TROUBLES, random));
  await stage.setClock(startOf(stage.now, troubles));
  const traffic = new Traffic(stage);
  const tenants = await createTenants(stage, traffic, random, seed);
  const callers = Array.from({ length: CALLERS }, (_, i) =>
    traffic.call(seededRandom(seed * 31 + i), operations(tenants, seededRandom(seed * 37 + i), `${seed}-${i}`)),
  );
  const strikes = [...(crash ? [crash] : []), ...troubles].map((fault) =>
    strike(stage, fault, random() * LOAD_MS * 0.8, seededRandom(Math.floor(random() * 2 ** 32)), say),
  );
  await Promise.all([...strikes, sleep(LOAD_MS)]);
  traffic.stop();
  await Promise.all(callers);
  await stage.heal();
  const unknown = await traffic.settle(SETTLE_ATTEMPTS);
  await stage.bookAll();
  const losses = [...(crash ? [crash] : []), ...troubles].reduce((sum, fault) => sum + fault.losses, 0);
  const judgement = await judge({ stage, traffic, tenants, unknown, losses, split: crash?.splits === true });
  traffic.close();
  return { ...judgement, seed, crash: crash?.name ?? "none", troubles: troubles.map((t) => t.name), log };
}

/** Noon of the next day, or a minute before the window's end that the run is to step over. */
function startOf(now: number, troubles: readonly Fault[]): number {
  const tomorrow = dayWindow(now).end;
  if (troubles.some((trouble) => trouble.steps === "month")) return monthWindow(tomorrow, UTC).end - BEFORE_STEP_MS;
  if (troubles.some((trouble) => trouble.steps === "day")) return tomorrow + DAY_MS - BEFORE_STEP_MS;
  return tomorrow + DAY_MS / 2;
}

async function strike(stage: Stage, fault: Fault, afterMs: number, random: Random, say: (line: string) => void): Promise<void> {
  await sleep(afterMs);
  say(`${Math.round(afterMs)} ms: ${fault.name}`);
  await fault.strike(stage, random, say);
}

const choose = (from: readonly Fault[], random: Random): Fault => {
  const chosen = from[Math.floor(random() * from.length)];
  if (!chosen) throw new Error("No fault to choose");
  return chosen;
};

/** Three accounts: a daily cap that is reached, a monthly and a daily cap together, and a plan's daily limits in large steps. */
async function createTenants(stage: Stage, traffic: Traffic, random: Random, seed: number): Promise<Tenant[]> {
  const between = (low: number, high: number): number => Math.floor(low + random() * (high - low));
  const tenants: Tenant[] = [
    { account: `a${seed}`, plan: "pro", caps: [{ meter: "state_requests", period: "day", limit: between(30, 400) }], quantity: 1 },
    {
      account: `b${seed}`,
      plan: "pro",
      caps: [
        { meter: "state_requests", period: "month", limit: between(100, 600) },
        { meter: "state_sqlite_rows_written", period: "day", limit: between(50, 900) },
      ],
      quantity: 3,
    },
    { account: `c${seed}`, plan: "free", caps: [], quantity: 900 },
  ];
  for (const { account, plan, caps } of tenants) {
    await expectOk(traffic.insist(0, "PUT", `/v1/accounts/${account}`, { plan }));
    for (const { meter, period, limit } of caps) {
      await expectOk(traffic.insist(1 % stage.apis.length, "PUT", `/v1/usage/caps/${meter}`, { period, capValue: limit }, account));
    }
  }
  return tenants;
}

async function expectOk(answer: ReturnType<Traffic["ask"]>): Promise<void> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`Setting up failed: ${status} ${body.detail}`);
}

function operations(tenants: readonly Tenant[], random: Random, name: string): () => Operation {
  let n = 0;
  return () => {
    const tenant = tenants[Math.floor(random() * tenants.length)];
    if (!tenant) throw new Error("No tenant");
    const usage: Record<string, number> = { state_requests: 1 + Math.floor(random() * tenant.quantity) };
    if (random() < 0.5) usage["state_sqlite_rows_written"] = Math.floor(random() * 6);
    return { idempotencyKey: `${name}-${++n}`, account: tenant.account, service: "s", namespace: "Room", usage };
  };
}
