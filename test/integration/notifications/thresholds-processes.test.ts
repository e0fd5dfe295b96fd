import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RollUpStep } from "../../../src/ledger/roll-up.ts";
import { LEASE_MS } from "../../../src/notifications/outbox-store.ts";
import { createWebhook } from "../../../src/notifications/webhook-store.ts";
import { EngineProcess, type ProcessAnswer } from "../../support/engine-child.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";
import { startReceiver } from "../../support/receiver.ts";

const METER = "state_requests";
const PROCESSES = 8;

let t: TestEngine;
let processes: EngineProcess[];
beforeAll(async () => {
  t = await openTestEngine();
  processes = await Promise.all(Array.from({ length: PROCESSES }, start));
});
afterAll(async () => {
  await Promise.all(processes.map((p) => p.kill()));
  await t.stop();
});

const start = (): Promise<EngineProcess> =>
  EngineProcess.start({
    databaseUrl: t.stack.databaseUrl,
    redisUrl: t.stack.redisUrl,
    redisPrefix: t.stack.keyPrefix,
    now: t.clock.now(),
  });

const told = async (account: string): Promise<string[]> => {
  const rows = await t.engine.db
    .selectFrom("notifications")
    .select(["type", "data"])
    .where("account", "=", account)
    .where("type", "like", "usage.%")
    .orderBy("seq")
    .execute();
  return rows.map(({ type, data }) => `${type} ${(data as { percent: number }).percent}`);
};
const BOTH = ["usage.threshold_reached 80", "usage.limit_reached 100"];

const allowedOf = (answers: readonly ProcessAnswer[]): number =>
  answers.reduce((sum, answer) => sum + (answer.kind === "done" ? answer.allowed : 0), 0);

async function cappedAt(limit: number): Promise<string> {
  const account = await t.newAccount();
  await t.cap(account, METER, "day", limit);
  return account;
}

describe("thresholds that processes cross", () => {
  it(`at once, ${PROCESSES} of them, and tell at once, are told once, in order, and no limit is passed`, async () => {
    const account = await cappedAt(1_000);
    const used = await Promise.all(processes.map((p) => p.order({ kind: "use", account, meter: METER, times: 150 })));
    expect(allowedOf(used)).toBe(1_000);
    await Promise.all(processes.map((p) => p.order({ kind: "roll up", account, stopAt: null })));
    expect(await told(account)).toEqual(BOTH);
    await Promise.all(processes.map((p) => p.order({ kind: "roll up", account, stopAt: null })));
    expect(await told(account)).toEqual(BOTH);
  });

  it("are told by another when the process is killed before it rolls up", async () => {
    const account = await cappedAt(100);
    const victim = await start();
    await victim.order({ kind: "use", account, meter: METER, times: 100 });
    await victim.kill();
    await processes[0]?.order({ kind: "roll up", account, stopAt: null });
    expect(await told(account)).toEqual(BOTH);
  });

  /** The step of its roll-up at which the process that crossed is killed, and what it has told by then. */
  it.each<[at: RollUpStep, before: string[]]>([
    ["read", []],
    ["gauges booked", []],
    ["told", BOTH],
  ])("are told once when the process is killed in its roll-up: %s", async (at, before) => {
    const account = await cappedAt(100);
    const victim = await start();
    await victim.order({ kind: "use", account, meter: METER, times: 100 });
    expect((await victim.order({ kind: "roll up", account, stopAt: at })).kind).toBe("stopped");
    await victim.kill();
    expect(await told(account)).toEqual(before);
    await processes[0]?.order({ kind: "roll up", account, stopAt: null });
    expect(await told(account)).toEqual(BOTH);
    expect((await t.engine.usage(account)).usage.meters.day[METER]).toBe(100);
  });

  it("reach the webhook, with one id, when the process is killed while it delivers", async () => {
    const account = await cappedAt(100);
    // The first delivery of each message hangs until its process is dead.
    const seen = new Set<string>();
    const receiver = await startReceiver((response, _before, { headers }) => {
      const id = String(headers["webhook-id"]);
      if (seen.has(id)) response.writeHead(204).end();
      seen.add(id);
    });
    try {
      await createWebhook(t.engine.db, account, { url: receiver.url, events: [], description: null }, t.clock.now());
      const victim = await start();
      await victim.order({ kind: "use", account, meter: METER, times: 100 });
      await victim.order({ kind: "roll up", account, stopAt: null });
      const delivering = victim.order({ kind: "deliver" }).catch(() => "killed");
      await receiver.until(BOTH.length);
      await victim.kill();
      expect(await delivering).toBe("killed");
      t.clock.advance(LEASE_MS);
      const heir = await start();
      await heir.order({ kind: "deliver" });
      await heir.kill();
      const ids = receiver.received.map(({ headers }) => String(headers["webhook-id"]));
      expect(ids).toHaveLength(2 * BOTH.length);
      expect(new Set(ids).size).toBe(BOTH.length);
      expect(await told(account)).toEqual(BOTH);
    } finally {
      await receiver.stop();
    }
  });
});
