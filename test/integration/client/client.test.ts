import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ALLOWED, createMeter, WeirDenied, WeirRefused, WeirUnavailable, type Decision, type Meter } from "../../../src/client/index.ts";
import type { MeterOptions } from "../../../src/client/meter-options.ts";
import { openFileJournal } from "../../../src/client/journal-file.ts";
import { openTestApp, ADMIN_KEY, type TestApp } from "../../support/app.ts";
import { ManualClientClock } from "../../support/client-clock.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** The SDK against a real Weir over HTTP; time moves on both sides when it is told. */

// Thousands of requests over HTTP: on a busy machine they take longer than a test is given.
vi.setConfig({ testTimeout: 60_000 });

let t: TestApp;
let url: string;
const dir = tempDir("client");
beforeAll(async () => {
  t = await openTestApp();
  url = await t.app.listen({ port: 0, host: "127.0.0.1" });
});
afterAll(async () => {
  dir.remove();
  await t.stop();
});

const METER = "state_requests";
const ONE = { [METER]: 1 };
const HEARTBEAT_MS = 1_000;

/** What happens to a request on its way: it passes, is never sent, or its answer is lost. */
type Wire = "pass" | "down" | "deaf";

interface Holder {
  meter: Meter;
  clock: ManualClientClock;
  wire: { mode: Wire };
  requests: string[];
  /** Moves both clocks, and waits for what that sets off. */
  pass: (ms: number) => Promise<void>;
}

function holder(options: Partial<MeterOptions> = {}): Holder {
  const clock = new ManualClientClock();
  const wire: { mode: Wire } = { mode: "pass" };
  const requests: string[] = [];
  let underWay = 0;
  const send: typeof fetch = async (...call) => {
    underWay += 1;
    try {
      const path = new URL(String(call[0])).pathname;
      requests.push(path.replace(/lse_[^/]+/, "{id}"));
      if (wire.mode === "down") throw new TypeError("fetch failed");
      const response = await fetch(...call);
      // The whole body, so that an answer that has arrived is acted on at once.
      const body = await response.text();
      if (wire.mode === "deaf") throw new TypeError("terminated");
      return new Response(body, { status: response.status, headers: response.headers });
    } finally {
      underWay -= 1;
    }
  };
  const meter = createMeter({ url, key: ADMIN_KEY, clock, fetch: send, holder: `h${Math.random()}`, ...options });
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 50) {
      clock.advance(Math.min(50, left));
      t.clock.advance(Math.min(50, left));
      // An answer may set off the next request in the same breath.
      for (let quiet = 0; quiet < 3; quiet++) {
        await new Promise((resolve) => setImmediate(resolve));
        if (underWay > 0) quiet = -1;
      }
    }
  };
  return { meter, clock, wire, requests, pass };
}

async function figures(account: string) {
  const { meters } = await t.engine.usage(account);
  const { used, reserved } = meters.find((m) => m.meter === METER) ?? {};
  return { used, reserved };
}

async function capped(limit: number): Promise<string> {
  const account = await t.newAccount();
  await t.cap(account, METER, "day", limit);
  return account;
}

/** Checks until one is denied; answers how many were allowed. */
async function spendAll({ meter, clock }: Holder, account: string): Promise<number> {
  for (let allowed = 0; ; allowed++) {
    if (!(await meter.check({ account, usage: ONE })).allowed) return allowed;
    clock.advance(1);
  }
}

describe("a check", () => {
  it("asks Weir for an account that is hardly used, and is decided in memory for one that is", async () => {
    const account = await capped(1_000);
    const { meter, requests } = holder();
    const check = () => meter.check({ account, service: "s", namespace: "Room", object: "o", usage: ONE });
    const first = await check();
    expect(first).toMatchObject({ allowed: true, meters: { [METER]: { used: 1, remaining: 999 } } });
    await check();
    expect(await check()).toBe(ALLOWED);
    expect(check()).toBe(ALLOWED);
    expect(requests).toEqual(["/v1/check", "/v1/check", "/v1/leases"]);
    expect(await figures(account)).toMatchObject({ used: 2, reserved: expect.any(Number) as number });
    expect(await meter.close()).toEqual({ unsettled: 0 });
    expect(await figures(account)).toEqual({ used: 4, reserved: 0 });
    await expect(meter.check({ account, usage: ONE })).rejects.toBeInstanceOf(WeirUnavailable);
  });

  it("on a handle that was warmed is decided in memory from the first", async () => {
    const account = await capped(1_000);
    const { meter, requests } = holder();
    const handle = meter.account(account, { service: "s", namespace: "Room" });
    const vector = meter.vector({ [METER]: 2, state_sqlite_rows_written: 1 });
    await handle.warm(vector);
    expect(handle.check(vector)).toBe(ALLOWED);
    expect(handle.consume(vector)).toBeUndefined();
    expect(requests).toEqual(["/v1/leases"]);
    await meter.close();
    expect(await figures(account)).toEqual({ used: 4, reserved: 0 });
  });

  it("that only Weir can decide goes there, whatever is held", async () => {
    const account = await capped(1_000);
    const { meter, requests } = holder({ operations: { put: { [METER]: 1 } } });
    await meter.account(account).warm(meter.vector(ONE));
    const only = { account, service: "s", namespace: "Room", object: "o", usage: ONE };
    for (const more of [{ storageBytes: { delta: 5 } }, { payloadBytes: 9 }, { idempotencyKey: "k" }]) {
      expect(await meter.check({ ...only, ...more })).toMatchObject({
        allowed: true,
        decisionId: expect.stringMatching(/^dec_/) as string,
      });
    }
    expect(meter.check({ account, operation: "put" })).toBe(ALLOWED);
    expect(await meter.check({ account, service: "s", namespace: "Room", operation: "get" })).toMatchObject({ allowed: true });
    expect(requests).toEqual(["/v1/leases", ...Array(4).fill("/v1/check")]);
    await meter.close();
    expect(await figures(account)).toMatchObject({ used: 5 });
  });

  it("of usage that is none is refused, and of an account that is none too", async () => {
    const { meter } = holder();
    await expect(meter.check({ account: "acct_none", usage: ONE })).rejects.toMatchObject({
      name: "WeirRefused",
      code: "not_found",
      status: 404,
    });
    for (const n of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => meter.vector({ [METER]: n })).toThrow(TypeError);
    await expect(meter.check({ account: await t.newAccount(), usage: { [METER]: -1 } })).rejects.toBeInstanceOf(TypeError);
    const stranger = holder({ key: "no-key-of-ours" });
    await expect(stranger.meter.check({ account: "a", usage: ONE })).rejects.toBeInstanceOf(WeirRefused);
  });

  it("never takes a part of an operation", async () => {
    const account = await t.newAccount();
    await t.cap(account, "kv_reads", "day", 10);
    const { meter } = holder();
    const handle = meter.account(account);
    const both = meter.vector({ [METER]: 1, kv_reads: 4 });
    await handle.warm(meter.vector(ONE));
    const decisions: Decision[] = [];
    for (let i = 0; i < 5; i++) decisions.push(await handle.check(both));
    expect(decisions.map((d) => d.allowed)).toEqual([true, true, false, false, false]);
    await meter.close();
    const { usage } = await t.engine.usage(account);
    expect([usage.meters.day[METER], usage.meters.day["kv_reads"]]).toEqual([2, 8]);
  });
});

describe("a limit", () => {
  it("is reached to the unit, in memory and by Weir, and not passed", async () => {
    const account = await capped(1_000);
    const h = holder();
    const { meter } = h;
    expect(await spendAll(h, account)).toBe(1_000);
    expect(h.requests.length).toBeLessThan(400);
    const denied = await meter.check({ account, usage: ONE });
    expect(denied.denials).toMatchObject([{ code: "limit_exceeded", meter: METER, limit: 1_000, used: 1_000, reserved: 0 }]);
    await expect((async () => meter.account(account).consume(meter.vector(ONE)))()).rejects.toBeInstanceOf(WeirDenied);
    await meter.close();
    expect(await figures(account)).toEqual({ used: 1_000, reserved: 0 });
  });

  it("is shared by holders, never passed, and whole in the end", async () => {
    const account = await capped(2_000);
    const holders = Array.from({ length: 4 }, () => holder());
    const spent = await Promise.all(holders.map((h) => spendAll(h, account)));
    // Some may have been denied early, by what others held then.
    for (const { meter } of holders) await meter.close();
    const total = spent.reduce((a, b) => a + b, 0);
    expect(total).toBeLessThanOrEqual(2_000);
    expect(await figures(account)).toEqual({ used: total, reserved: 0 });
    const last = holder();
    expect(await spendAll(last, account)).toBe(2_000 - total);
    await last.meter.close();
  });

  it("that is lowered is in force when the heartbeat has heard of it", async () => {
    const account = await capped(100_000);
    const { meter, pass } = holder();
    const handle = meter.account(account);
    const one = meter.vector(ONE);
    await handle.warm(one);
    for (let i = 0; i < 10; i++) expect(handle.check(one)).toBe(ALLOWED);
    await t.cap(account, METER, "day", 5);
    await pass(2 * HEARTBEAT_MS);
    expect(await figures(account)).toEqual({ used: 10, reserved: 0 });
    expect(await handle.check(one)).toMatchObject({ allowed: false });
    expect(JSON.parse(JSON.stringify(meter))).toMatchObject({ recalled: 1, leases: 0 });
    await meter.close();
  });
});

describe("a heartbeat", () => {
  it("settles what was spent, where it was spent, and fetches what is asked for", async () => {
    const account = await t.newAccount();
    const { meter, pass, requests } = holder();
    const one = meter.vector(ONE);
    const [a, b] = [meter.account(account, { service: "a", namespace: "Room" }), meter.account(account, { service: "b" })];
    await a.warm(one);
    for (let i = 0; i < 20; i++) expect(a.check(one)).toBe(ALLOWED);
    for (let i = 0; i < 5; i++) expect(b.check(one)).toBe(ALLOWED);
    expect(await figures(account)).toMatchObject({ used: 0 });
    await pass(HEARTBEAT_MS);
    expect(await figures(account)).toMatchObject({ used: 25 });
    expect(requests.filter((path) => path.endsWith("settle"))).toHaveLength(1);
    await t.engine.rollUp();
    const rows = await t.engine.db
      .selectFrom("usage_buckets")
      .select(["service", "namespace", "quantity"])
      .where("account", "=", account)
      .orderBy("service")
      .execute();
    expect(rows).toEqual([
      { service: "a", namespace: "Room", quantity: 20n },
      { service: "b", namespace: "", quantity: 5n },
    ]);
    await meter.close();
  });

  it("gives back what is not used any more", async () => {
    const account = await t.newAccount();
    const { meter, pass } = holder();
    await meter.account(account).warm(meter.vector(ONE));
    expect(await figures(account)).toMatchObject({ reserved: 64 });
    await pass(3 * HEARTBEAT_MS);
    expect(await figures(account)).toEqual({ used: 0, reserved: 0 });
    await meter.close();
  });

  it("gives back what others are denied for", async () => {
    const account = await capped(100);
    const { meter, pass } = holder();
    const one = meter.vector(ONE);
    await meter.account(account).warm(one);
    expect(await figures(account)).toMatchObject({ reserved: 50 });
    expect((await t.check({ account, usage: { [METER]: 80 } })).allowed).toBe(false);
    // It is in use all the while: nothing goes back for being idle.
    for (let i = 0; i < 30 && meter.account(account).check(one) === ALLOWED; i++) await pass(100);
    expect(meter.toJSON()).toMatchObject({ recalled: 1, returned: 1 });
    expect((await t.check({ account, usage: { [METER]: 75 } })).allowed).toBe(true);
    await meter.close();
  });

  it("sizes leases by demand: 200,000 checks cost some dozens of requests", async () => {
    const account = await t.newAccount();
    const { meter, clock, requests } = holder();
    const handle = meter.account(account);
    const one = meter.vector(ONE);
    await handle.warm(one);
    let allowed = 0;
    for (let i = 0; i < 200_000; i++) {
      const decision = handle.check(one);
      allowed += decision === ALLOWED || (await decision).allowed ? 1 : 0;
      if (i % 1_000 === 0) clock.advance(1);
    }
    expect(allowed).toBe(200_000);
    expect(requests.length).toBeLessThan(60);
    await meter.close();
    expect(await figures(account)).toEqual({ used: 200_000, reserved: 0 });
  });
});

describe("a Weir that is away", () => {
  it("stops nothing that is held, and allows nothing that is not", async () => {
    const account = await t.newAccount();
    const { meter, wire, clock, pass } = holder({ ttlSeconds: 3 });
    const handle = meter.account(account);
    const one = meter.vector(ONE);
    await handle.warm(one);
    wire.mode = "down";
    let allowed = 0;
    for (; allowed < 40; allowed++) expect(handle.check(one)).toBe(ALLOWED);
    await expect(handle.check(meter.vector({ [METER]: 1_000 }))).rejects.toBeInstanceOf(WeirUnavailable);
    await pass(3_000);
    await expect(handle.check(one)).rejects.toBeInstanceOf(WeirUnavailable);
    await expect(meter.check({ account, usage: ONE })).rejects.toBeInstanceOf(WeirUnavailable);
    wire.mode = "pass";
    await pass(8_000);
    expect(await figures(account)).toEqual({ used: allowed, reserved: 0 });
    expect(await handle.check(one)).toMatchObject({ allowed: true });
    expect(clock.now()).toBeGreaterThan(3_000);
    await meter.close();
    expect(await figures(account)).toEqual({ used: allowed + 1, reserved: 0 });
  });

  it("is not waited for longer than was said", async () => {
    const clock = new ManualClientClock();
    const hangs: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError"))));
    const meter = createMeter({ url, key: "k", clock, fetch: hangs, timeoutMs: 250, requestsMax: 3 });
    const checks = Array.from({ length: 5 }, (_, i) => Promise.resolve(meter.check({ account: `a${i}`, usage: ONE })));
    const outcomes = Promise.allSettled(checks);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(250);
    const messages = (await outcomes).map((o) => (o.status === "rejected" ? String(o.reason) : "allowed"));
    expect(messages.filter((m) => m.includes("within 250 ms"))).toHaveLength(3);
    expect(messages.filter((m) => m.includes("3 requests to Weir are under way"))).toHaveLength(2);
    expect(await meter.close()).toEqual({ unsettled: 0 });
  });

  it.each([1, 2, 3])("counts each unit once, whatever answers are lost (seed %i)", async (seed) => {
    const account = await capped(3_000);
    const { meter, wire, pass } = holder();
    const handle = meter.account(account);
    let random = seed;
    const roll = (n: number): number => (random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0) % n;
    let allowed = 0;
    let unknown = 0;
    for (let step = 0; step < 40; step++) {
      wire.mode = roll(10) < 6 ? "pass" : roll(2) === 0 ? "down" : "deaf";
      for (let i = roll(40); i > 0; i--) {
        const n = 1 + roll(3);
        const decision = await Promise.resolve(handle.check(meter.vector({ [METER]: n }))).catch(() => null);
        if (decision === null) unknown += n;
        else if (decision.allowed) allowed += n;
      }
      if (roll(4) === 0) await pass(50 * (1 + roll(30)));
    }
    wire.mode = "pass";
    await pass(12_000);
    expect(await meter.close()).toEqual({ unsettled: 0 });
    const { used = -1, reserved } = await figures(account);
    expect(used).toBeGreaterThanOrEqual(allowed);
    // A check whose own answer was lost may have been counted: its caller did not write.
    expect(used).toBeLessThanOrEqual(Math.min(3_000, allowed + unknown));
    expect(reserved).toBe(0);
  });
});

describe("a window's end", () => {
  it("ends the lease: what was spent before is the old window's, what comes after asks anew", async () => {
    t.clock.set("2026-11-23T23:59:57.000Z");
    const account = await capped(100);
    const { meter, pass } = holder();
    const handle = meter.account(account);
    const one = meter.vector(ONE);
    await handle.warm(one);
    for (let i = 0; i < 30; i++) expect(handle.check(one)).toBe(ALLOWED);
    await pass(3_000);
    for (let i = 0; i < 7; i++) expect(await handle.check(one)).toMatchObject({ allowed: true });
    await meter.close();
    const { usage } = await t.engine.usage(account);
    expect([usage.meters.day[METER], usage.meters.month[METER]]).toEqual([7, 37]);
  });

  it("sends no herd to Weir: those who come at once wait for one settle and one new lease", async () => {
    t.clock.set("2026-11-25T23:59:57.000Z");
    const account = await t.newAccount();
    const { meter, requests, pass } = holder();
    await meter.account(account).warm(meter.vector(ONE));
    for (let second = 0; second < 3; second++) {
      await Promise.all(Array.from({ length: 500 }, async () => meter.check({ account, usage: ONE })));
      await pass(1_000);
    }
    requests.length = 0;
    const decisions = await Promise.all(Array.from({ length: 500 }, async () => meter.check({ account, usage: ONE })));
    expect(decisions.every((decision) => decision.allowed)).toBe(true);
    // The last gives back the lease that has ended.
    expect(requests).toEqual(["/v1/leases/{id}/settle", "/v1/leases", "/v1/leases/{id}/settle"]);
    await meter.close();
    expect((await t.engine.usage(account)).usage.meters.day[METER]).toBe(500);
  });

  it("of the hour brings another lease without a gap", async () => {
    t.clock.set("2026-11-24T09:59:57.000Z");
    const account = await t.newAccount();
    const { meter, pass } = holder();
    const handle = meter.account(account);
    const one = meter.vector(ONE);
    await handle.warm(one);
    for (let second = 0; second < 8; second++) {
      for (let i = 0; i < 10; i++) expect(handle.check(one)).toBe(ALLOWED);
      await pass(1_000);
    }
    await meter.close();
    await t.engine.rollUp();
    const rows = await t.engine.db
      .selectFrom("usage_buckets")
      .select(["bucket", "quantity"])
      .where("account", "=", account)
      .orderBy("bucket")
      .execute();
    expect(rows).toHaveLength(2);
    expect(rows.reduce((sum, r) => sum + Number(r.quantity), 0)).toBe(80);
  });
});

describe("a journal", () => {
  it("brings back to the unit what a holder had spent that is gone", async () => {
    const account = await capped(1_000);
    const path = join(dir.path, "exact");
    const gone = holder({ journal: { journal: openFileJournal(path), every: "check" } });
    const one = gone.meter.vector(ONE);
    const handle = gone.meter.account(account, { service: "s" });
    await handle.warm(one);
    let allowed = 0;
    for (; allowed < 33; allowed++) expect(handle.check(one)).toBe(ALLOWED);
    await gone.pass(HEARTBEAT_MS);
    for (; allowed < 50; allowed++) expect(await gone.meter.check({ account, usage: ONE })).toBe(ALLOWED);
    expect(await figures(account)).toMatchObject({ used: 33 });
    // It says no more from here on. What it held comes back with it.
    const back = holder({ journal: { journal: openFileJournal(path), every: "check" } });
    await back.meter.ready();
    expect(await figures(account)).toEqual({ used: 50, reserved: 0 });
    expect(await back.meter.close()).toEqual({ unsettled: 0 });
    expect(openFileJournal(path).unended()).toEqual([]);
  });

  it("is told again until Weir hears it", async () => {
    const account = await capped(1_000);
    const path = join(dir.path, "again");
    const gone = holder({ journal: { journal: openFileJournal(path), every: "check" } });
    await gone.meter.account(account).warm(gone.meter.vector(ONE));
    for (let i = 0; i < 9; i++) expect(gone.meter.check({ account, usage: ONE })).toBe(ALLOWED);
    const back = holder({ journal: { journal: openFileJournal(path), every: "check" } });
    back.wire.mode = "down";
    const again = holder({ journal: { journal: openFileJournal(path), every: "check" } });
    again.wire.mode = "down";
    await again.meter.ready();
    again.wire.mode = "pass";
    await again.pass(2_000);
    expect(await figures(account)).toEqual({ used: 9, reserved: 0 });
    await again.meter.close();
  });

  it("that cannot be written allows nothing", async () => {
    const account = await t.newAccount();
    const full = {
      append: () => {
        throw new Error("ENOSPC");
      },
      unended: () => [],
      close: () => {},
    };
    const { meter } = holder({ journal: { journal: full, every: "check" } });
    const handle = meter.account(account);
    const one = meter.vector(ONE);
    await handle.warm(one);
    expect(() => handle.check(one)).toThrow(WeirUnavailable);
    await meter.close();
  });
});
