import { describe, expect, it } from "vitest";
import { isInTheClear } from "../../src/cli/transport.ts";
import type { RedisFacts } from "../../src/counters/server-facts.ts";
import { clockFinding } from "../../src/doctor/clock-finding.ts";
import { keyFinding } from "../../src/doctor/key-finding.ts";
import { rollUpFinding } from "../../src/doctor/ledger-findings.ts";
import { postgresFindings, redisFindings } from "../../src/doctor/store-findings.ts";
import { ManualClock } from "../../src/kernel/clock.ts";
import type { PostgresFacts } from "../../src/stores/migration-state.ts";

const REDIS: RedisFacts = {
  version: "7.4.1",
  runId: "0123456789abcdef",
  appendOnly: true,
  evictionPolicy: "noeviction",
  usedBytes: 10,
  maxBytes: 100,
  latencyMs: 0.1,
  aheadMs: 0,
};
const POSTGRES: PostgresFacts = {
  version: "18.1",
  latencyMs: 0.1,
  applied: ["0001_a.sql"],
  pending: [],
  changed: [],
  unknown: [],
  walled: true,
  unsafe: [],
  aheadMs: 0,
};
const stateOf = (findings: readonly { check: string; state: string }[], check: string): string | undefined =>
  findings.find((finding) => finding.check === check)?.state;

describe("Redis", () => {
  it.each<[string, Partial<RedisFacts>, string]>([
    ["redis", {}, "ok"],
    ["redis", { version: "6.0.16" }, "failed"],
    ["redis", { version: "5.0.0" }, "failed"],
    ["redis", { version: "6.2.0" }, "ok"],
    ["redis", { version: null }, "ok"],
    ["redis", { latencyMs: 21 }, "warning"],
    ["redis memory", { usedBytes: 79 }, "ok"],
    ["redis memory", { usedBytes: 80 }, "warning"],
    ["redis memory", { usedBytes: 101 }, "failed"],
    ["redis eviction", { evictionPolicy: "allkeys-lru" }, "failed"],
    ["redis eviction", { evictionPolicy: "volatile-ttl", maxBytes: 0 }, "warning"],
    ["redis durability", { appendOnly: false }, "warning"],
  ])("%s with %o: %s", (check, facts, state) => {
    expect(stateOf(redisFindings({ ...REDIS, ...facts }), check)).toBe(state);
  });

  it("without a bound has no share of it", () => {
    expect(stateOf(redisFindings({ ...REDIS, maxBytes: 0 }), "redis memory")).toBeUndefined();
  });
});

describe("Postgres", () => {
  it.each<[string, Partial<PostgresFacts>, string]>([
    ["postgres", {}, "ok"],
    ["postgres", { version: "14.9" }, "warning"],
    ["postgres durability", {}, "ok"],
    ["postgres durability", { unsafe: ["fsync"] }, "warning"],
    ["migrations", {}, "ok"],
    ["migrations", { pending: ["0002_b.sql"] }, "failed"],
    ["migrations", { unknown: ["0009_z.sql"] }, "failed"],
    ["migrations", { changed: ["0001_a.sql"] }, "failed"],
    ["second wall", { walled: false }, "warning"],
  ])("%s with %o: %s", (check, facts, state) => {
    expect(stateOf(postgresFindings({ ...POSTGRES, ...facts }), check)).toBe(state);
  });
});

it.each([
  [0, "ok"],
  [1_000, "ok"],
  [-1_001, "warning"],
  [60_000, "warning"],
  [60_001, "failed"],
])("a store's clock that is %d ms ahead: %s", (ms, state) => {
  const stores: [string, number][] = [
    ["Postgres", 3],
    ["Redis", ms],
  ];
  expect(clockFinding(new ManualClock(0), stores).state).toBe(state);
});

it.each([
  [0, null, "ok"],
  [3, null, "warning"],
  [0, 0, "ok"],
  [3, 40_000, "ok"],
  [3, 39_999, "warning"],
  [20_001, 99_000, "warning"],
])("%d accounts wait, the last roll-up at %s of 100 s: %s", (dirty, rolledUpAt, state) => {
  expect(rollUpFinding(dirty, rolledUpAt, 100_000).state).toBe(state);
});

it.each([
  ["weir_admin_aB3dEfGh1jKlMn0pQrStUv", "ok"],
  ["d2a84f4b8b650937ec8f73cd8be2c74a", "ok"],
  ["x9K2pLq7", "warning"],
  ["please-change-me-before-production", "warning"],
  ["abababababababababababababab", "warning"],
])("the operator's key %s: %s", (key, state) => {
  expect(keyFinding(key).state).toBe(state);
});

it.each([
  ["http://127.0.0.1:8787", false],
  ["http://localhost:8787", false],
  ["http://[::1]:8787", false],
  ["http://10.1.2.3", false],
  ["http://weir:8787", false],
  ["http://weir.default.svc.cluster.local", false],
  ["https://weir.example.com", false],
  ["http://weir.example.com", true],
  ["http://203.0.113.7:8787", true],
  ["http://[2001:db8::1]:8787", true],
  ["http://172.32.0.1", true],
])("%s in the clear: %s", (url, clear) => {
  expect(isInTheClear(url)).toBe(clear);
});
