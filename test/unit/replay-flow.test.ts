import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dueNow, TICK_CHECKS_MAX } from "../../src/cli/demo/pace.ts";
import { growth, verify } from "../../src/cli/replay/verify.ts";
import { Lanes } from "../../src/replay/lanes.ts";
import { mixedTraffic } from "../../src/replay/mix.ts";
import { checkedOperation, type TraceOperation } from "../../src/replay/operation.ts";
import { seededRandom, weighted, zipf } from "../../src/replay/random.ts";
import { Tally } from "../../src/replay/tally.ts";
import { mayStillArrive, proven, verdicts } from "../../src/replay/verdict.ts";
import { WrittenKeys } from "../../src/replay/written-keys.ts";

describe("lanes", () => {
  test("keep the order of each name, whatever the interleaving", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 80 }),
        fc.integer({ min: 1, max: 4 }),
        async (names, count) => {
          const done: [number, number][] = [];
          const lanes = new Lanes<[number, number]>({ count, queueMax: 3, batchMax: 2 }, async (items) => {
            for (const [name, n] of items) {
              if ((name + n) % 2 === 0) await turn();
              done.push([name, n]);
            }
          });
          for (const [n, name] of names.entries()) await lanes.push(String(name), [name, n]);
          await lanes.finish();
          expect(done).toHaveLength(names.length);
          for (const name of new Set(names)) {
            const order = done.filter(([of]) => of === name).map(([, n]) => n);
            expect(order).toEqual(order.toSorted((a, b) => a - b));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("are bounded: the feeder waits while a lane is full", async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const lanes = new Lanes<number>({ count: 1, queueMax: 2, batchMax: 1 }, () => gate);
    let pushed = 0;
    const feeding = (async () => {
      for (let i = 0; i < 10; i += 1) {
        await lanes.push("x", i);
        pushed += 1;
      }
    })();
    for (let i = 0; i < 20; i += 1) await turn();
    // One is being worked on, two wait.
    expect(pushed).toBe(3);
    release();
    await feeding;
    await lanes.finish();
    expect(pushed).toBe(10);
  });

  test("a failure ends them and reaches the feeder", async () => {
    const lanes = new Lanes<number>({ count: 2, queueMax: 1, batchMax: 1 }, async () => {
      await turn();
      throw new Error("no more");
    });
    const feeding = (async () => {
      for (let i = 0; i < 100; i += 1) await lanes.push(String(i), i);
      await lanes.finish();
    })();
    await expect(feeding).rejects.toThrow("no more");
  });
});

describe("tally", () => {
  test("counts what was allowed, and nothing else", () => {
    const tally = new Tally();
    tally.record("put", { type: "allowed", usage: { state_requests: 1, state_sqlite_rows_written: 1 } });
    tally.record("get", { type: "allowed", usage: { state_requests: 1 } });
    tally.record("put", { type: "denied", reasons: ["limit_exceeded a", "limit_exceeded b"] });
    tally.record("put", { type: "refused", reason: "conflict" });
    tally.record("put", { type: "unknown", usage: { state_requests: 1 } });
    expect(tally.quantities()).toEqual({ state_requests: 2, state_sqlite_rows_written: 1 });
    expect(tally.uncertain()).toEqual({ state_requests: 1 });
    expect(tally.total()).toEqual({ kind: "total", sent: 5, allowed: 2, denied: 1, refused: 1, unknown: 1 });
    expect(tally.kinds().map((k) => [k.kind, k.sent])).toEqual([
      ["get", 1],
      ["put", 4],
    ]);
    expect(Object.fromEntries(tally.reasons())).toEqual({ "limit_exceeded a": 1, "limit_exceeded b": 1, conflict: 1 });
  });
});

describe("verdict", () => {
  test.each([
    [10, 0, 10, "equal", true],
    [10, 0, 9, "missing", false],
    [10, 0, 11, "too much", false],
    [10, 2, 12, "within unknown", false],
    [10, 2, 13, "too much", false],
    // Equal, but two answers are open: it may still change, so it proves nothing.
    [10, 2, 10, "equal", false],
  ])("counted %d, unknown %d, booked %d: %s", (counted, uncertain, booked, state, isProven) => {
    const all = verdicts({ m: counted }, { m: uncertain }, { m: booked });
    expect(all[0]?.state).toBe(state);
    expect(proven(all)).toBe(isProven);
  });

  test("a meter that only Postgres has is too much", () => {
    expect(verdicts({}, {}, { m: 1 })).toEqual([{ meter: "m", counted: 0, booked: 1, uncertain: 0, state: "too much" }]);
  });

  test("waiting helps only while something is missing", () => {
    expect(mayStillArrive(verdicts({ m: 2 }, {}, { m: 1 }))).toBe(true);
    expect(mayStillArrive(verdicts({ m: 2 }, {}, { m: 2 }))).toBe(false);
    expect(mayStillArrive(verdicts({ m: 2, n: 1 }, {}, { m: 1, n: 2 }))).toBe(false);
  });

  test("verifying reads until it is booked, and gives up in time", async () => {
    const readings = [{ m: 0 }, { m: 5 }];
    const arrived = await verify(() => Promise.resolve(readings.shift() ?? { m: 5 }), { m: 5 }, {}, 5_000);
    expect(proven(arrived.meters)).toBe(true);
    const never = await verify(() => Promise.resolve({ m: 4 }), { m: 5 }, {}, 0);
    expect(never.meters[0]?.state).toBe("missing");
  });

  test("growth counts the replay's services only", () => {
    const before = new Map([
      [
        "m",
        new Map([
          ["mine", 5],
          ["other", 1],
        ]),
      ],
    ]);
    const after = new Map([
      [
        "m",
        new Map([
          ["mine", 12],
          ["new", 3],
          ["other", 99],
        ]),
      ],
    ]);
    expect(growth(before, after, ["mine", "new"])).toEqual({ m: 10 });
  });
});

describe("generated traffic", () => {
  test("the same seed gives the same operations, another seed others", () => {
    const take = (seed: number): TraceOperation[] => {
      const next = mixedTraffic(seed);
      return Array.from({ length: 50 }, next);
    };
    expect(take(7)).toEqual(take(7));
    expect(take(7)).not.toEqual(take(8));
  });

  test("every operation is one that Weir accepts", () => {
    const next = mixedTraffic(1);
    for (let i = 0; i < 5_000; i += 1) expect(() => checkedOperation(next())).not.toThrow();
  });

  test("the mix is the published one", () => {
    const next = mixedTraffic(3);
    let [gets, cluster52] = [0, 0];
    for (let i = 0; i < 40_000; i += 1) {
      const operation = next();
      if (operation.kind === "get") gets += 1;
      if (operation.object.startsWith("cluster-52-")) cluster52 += 1;
    }
    // Σ kqps × (get + gets) share ÷ Σ kqps = 51.34 ÷ 68.42 = 0.750 (shares that sum to .99 are scaled); cluster 52: 24.25 ÷ 68.42 = 0.354.
    expect(gets / 40_000).toBeCloseTo(0.75, 1);
    expect(cluster52 / 40_000).toBeCloseTo(0.354, 1);
  });

  test("weights and ranks follow their law", () => {
    const random = seededRandom(1);
    const draw = weighted([1, 0, 3]);
    const seen = [0, 0, 0];
    for (let i = 0; i < 20_000; i += 1) {
      const drawn = draw(random);
      seen[drawn] = (seen[drawn] ?? 0) + 1;
    }
    expect(seen[1]).toBe(0);
    expect((seen[2] ?? 0) / (seen[0] ?? 1)).toBeCloseTo(3, 0);
    const rank = zipf(1000, 1);
    let first = 0;
    for (let i = 0; i < 20_000; i += 1) if (rank(random) === 0) first += 1;
    // 1 / H(1000) = 1 / 7.485 = 0.134.
    expect(first / 20_000).toBeCloseTo(0.134, 1);
  });
});

describe("pace", () => {
  test.each([
    [60_000, 60_000, 0, 0, 1],
    [60_000, 60_000, 250, 1, 249],
    [60_000, 60_000, 30_000, 29_800, 200],
    [60_000, 60_000, 30_000, 30_500, 1],
    [60_000, 60_000, 90_000, 60_000, 1],
    [1_000_000, 60_000, 60_000, 0, TICK_CHECKS_MAX],
  ])("of %d in %d ms, after %d ms with %d sent, %d are due", (total, durationMs, elapsed, sent, due) => {
    expect(dueNow(total, durationMs, elapsed, sent)).toBe(due);
  });
});

test("a key exists from its put to its delete", () => {
  const keys = new WrittenKeys();
  const operation = (kind: TraceOperation["kind"], key: string): TraceOperation => ({
    kind,
    service: null,
    namespace: null,
    object: "o",
    key,
    bytes: 1,
    alongside: null,
  });
  expect(keys.has(operation("get", "k"))).toBe(false);
  keys.apply(operation("put", "k"));
  keys.apply(operation("get", "other"));
  expect([keys.has(operation("get", "k")), keys.has(operation("get", "other"))]).toEqual([true, false]);
  keys.apply(operation("delete-value", "k"));
  expect(keys.has(operation("get", "k"))).toBe(false);
});
