import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import document from "../../src/replay/mixes.json" with { type: "json" };
import { ASSUMPTIONS } from "../scale/assumptions.ts";
import { busyShare, popularity, slices, touched } from "../scale/demand.ts";
import { measuredCosts } from "../scale/measured.ts";
import { plans, waitP99Ms, type Inputs, type Load, type Plan } from "../scale/model.ts";
import { report } from "../scale/report.ts";
import { runTool, ROOT } from "../support/tools.ts";

const BENCHMARKS = readFileSync(join(ROOT, "docs/benchmarks.md"), "utf8");
const measured = measuredCosts(BENCHMARKS);
const LOAD: Load = { accounts: 1e6, objects: 1e9, checksPerSecond: 1e6, skew: null };
const inputs = (change: Partial<Inputs> = {}): Inputs => ({
  load: LOAD,
  mixes: document.clusters,
  measured,
  assumptions: ASSUMPTIONS,
  ...change,
});
const [single, batched, leased] = plans(inputs()).plans as [Plan, Plan, Plan];

describe("costs", () => {
  test("are those of docs/benchmarks.md", () => {
    const row = BENCHMARKS.split("\n").find((line) => line.includes("growth.redis_bytes_per_object")) ?? "";
    expect(row).toContain(`| ${measured.redisBytesPerObject} |`);
  });

  test.each([
    ["is not there", BENCHMARKS.replaceAll("http.check.against_bare_route", "http.check.renamed")],
    ["has no value", BENCHMARKS.replace(/(\| http\.check\.against_bare_route \|[^|]*\|)[^|]*\|/, "$1 – |")],
    ["is empty", BENCHMARKS.replace(/(\| http\.check\.against_bare_route \|[^|]*\|)[^|]*\|/, "$1  |")],
  ])("a figure that %s is an error that names it", (_, text) => {
    expect(() => measuredCosts(text)).toThrow("http.check.against_bare_route");
  });
});

describe("demand", () => {
  test("the slices are the whole load, and write as the mixes do", () => {
    const parts = slices(document.clusters, null);
    expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(parts[2]).toMatchObject({ writeShare: expect.closeTo(0.8, 12) as number, zipfAlpha: 0.3 });
    expect(slices(document.clusters, 0.5).every(({ zipfAlpha }) => zipfAlpha === 0.5)).toBe(true);
  });

  test.each([0, 0.3, 0.99, 1.3])("what many draws touch comes within 1 %% of the sum over all, alpha %d", (alpha) => {
    const count = 100_000;
    const weights = Array.from({ length: count }, (_, i) => (i + 1) ** -alpha);
    const total = weights.reduce((sum, w) => sum + w, 0);
    for (const draws of [1, 1_000, 100_000, 10_000_000]) {
      const exact = weights.reduce((sum, w) => sum + 1 - Math.exp((-draws * w) / total), 0);
      expect(Math.abs(touched(popularity(count, alpha), draws) / exact - 1)).toBeLessThan(0.01);
    }
  });

  test("nobody is busy at no rate, all are at the least", () => {
    const things = popularity(1_000, 1);
    expect(busyShare(things, 0, 1)).toBe(0);
    expect(busyShare(things, 1e9, 1)).toBeCloseTo(1, 9);
  });
});

describe("plans", () => {
  test("a server is never loaded beyond its share", () => {
    for (const plan of [single, batched]) {
      const primaries = plan.redis.processes / (1 + ASSUMPTIONS.replicas);
      expect(plan.asked / primaries).toBeLessThanOrEqual(measured.redisChecksPerSecond * ASSUMPTIONS.utilization);
    }
    expect(single.asked / single.api.processes).toBeLessThanOrEqual(measured.httpChecksPerSecond * ASSUMPTIONS.utilization);
  });

  test("batches save processes and cost time; leases save checks, but no write", () => {
    expect(batched.api.processes).toBeLessThan(single.api.processes);
    expect(batched.p99Ms).toBeGreaterThan(single.p99Ms ?? Infinity);
    expect(leased.asked).toBeLessThan(single.asked);
    expect(leased.asked).toBeGreaterThan(plans(inputs()).ledger.writeShare * LOAD.checksPerSecond);
  });

  test("where nothing writes and all accounts are busy, every check is leased", () => {
    const mixes = [{ kqps: 1, operations: { get: 1 }, zipfAlpha: 0 }];
    const [, , plan] = plans(inputs({ mixes, load: { ...LOAD, accounts: 1_000 } })).plans;
    expect(plan?.asked).toBeCloseTo(0, 3);
    expect(plan?.renewed).toBeCloseTo(1_000 * ASSUMPTIONS.processesPerAccount, 6);
  });

  test("what only writes takes no lease", () => {
    const mixes = [{ kqps: 1, operations: { set: 1 }, zipfAlpha: 1 }];
    const [, , plan] = plans(inputs({ mixes })).plans;
    expect(plan).toMatchObject({ asked: LOAD.checksPerSecond, renewed: 0 });
  });

  test.each<[string, Partial<Load>]>([
    ["accounts", { accounts: 1e7 }],
    ["objects", { objects: 1e10 }],
    ["checks", { checksPerSecond: 1e7 }],
  ])("more %s never take fewer machines", (_, more) => {
    const bigger = plans(inputs({ load: { ...LOAD, ...more } })).plans;
    bigger.forEach((plan, i) => expect(plan.machines).toBeGreaterThanOrEqual([single, batched, leased][i]?.machines ?? 0));
    expect(bigger[0]?.machines).toBeGreaterThan(single.machines);
  });

  test("an account that one slot cannot serve is said so", () => {
    // So steep that no benchmark of one server reaches it: of a million checks a second the hottest account has 600,000.
    const even = plans(inputs({ load: { ...LOAD, skew: 0 } }));
    const steep = plans(inputs({ load: { ...LOAD, skew: 2 } }));
    expect(even.plans[0]?.hottestSlots).toBe(1);
    expect(steep.plans[0]?.hottestSlots).toBeGreaterThan(1);
    const said = "does not fit";
    expect(report(LOAD, even, measured, ASSUMPTIONS, "")).not.toContain(said);
    expect(report(LOAD, steep, measured, ASSUMPTIONS, "")).toContain(said);
  });

  test("keys cost the memory they were measured to", () => {
    const with1 = plans(inputs({ assumptions: { ...ASSUMPTIONS, keyedShare: 0.01, keyKeptHours: 48 } })).ledger.redisGb;
    const keys = 1e6 * 0.01 * 48 * 3_600;
    expect(with1 - plans(inputs()).ledger.redisGb).toBeCloseTo((keys * measured.redisBytesPerIdempotencyKey) / 1e9, 6);
  });

  test("a line grows without bound as its server fills", () => {
    expect(waitP99Ms(1, 0.005)).toBe(0);
    expect(waitP99Ms(1, 0.5)).toBeCloseTo(2 * Math.log(50), 9);
    expect(waitP99Ms(1, 0.99)).toBeGreaterThan(100);
  });
});

describe("the command", () => {
  const scale = (...args: string[]) => runTool(join(ROOT, "test/scale/main.ts"), args);

  test("prints the plans, and the same as JSON", async () => {
    expect((await scale()).output).toContain("1,000,000 accounts, 1,000,000,000 objects, 1,000,000 checks a second");
    const { output } = await scale("--json");
    expect((JSON.parse(output) as { plans: Plan[] }).plans.map(({ way }) => way)).toEqual([single.way, batched.way, leased.way]);
  });

  test.each([
    ["--checks", "0"],
    ["--keyed", "2"],
    ["--accounts", "many"],
    ["--months", ""],
  ])("refuses %s %s", async (name, value) => {
    const { code, output } = await scale(name, value);
    expect(code).toBe(1);
    expect(output).toContain(`${name} ${value}: a number`);
  });

  test("says what it does not know", async () => {
    const { code, output } = await scale("--machines", "3");
    expect(code).toBe(1);
    expect(output).toContain("simulate:scale: Unknown option '--machines'");
  });
});
