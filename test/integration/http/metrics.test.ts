import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { ROOT } from "../../support/tools.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const scrape = async (): Promise<{ type: string; lines: string[] }> => {
  const response = await t.app.inject({ method: "GET", url: "/metrics" });
  expect(response.statusCode).toBe(200);
  return { type: String(response.headers["content-type"]), lines: response.body.split("\n") };
};

it("tells Prometheus of checks, denials, requests and the stores, without a key and without an account's name", async () => {
  const account = await t.newAccount("free");
  await t.cap(account, "state_requests", "day", 2);
  const body = { account, usage: { state_requests: 2 } };
  expect((await t.send("POST", "/v1/check", { body })).body["allowed"]).toBe(true);
  expect((await t.send("POST", "/v1/check", { body })).body["allowed"]).toBe(false);
  expect((await t.send("POST", "/v1/check", { body: { ...body, account: "acct_none" } })).status).toBe(404);
  const before = await scrape();
  expect(before.type).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(before.lines).toEqual(
    expect.arrayContaining([
      'weir_checks_total{result="allowed"} 1',
      'weir_checks_total{result="denied"} 1',
      'weir_checks_total{result="not_found"} 1',
      'weir_denials_total{code="limit_exceeded",meter="state_requests",scope="account",source="cap"} 1',
      "weir_check_duration_seconds_count 3",
      'weir_http_request_duration_seconds_count{method="POST",route="/v1/check",status="200"} 2',
      "weir_rollup_dirty_accounts 1",
      "weir_unbooked_accounts 1",
      "weir_outbox_pending 0",
      'weir_store_up{store="redis"} 1',
      'weir_store_up{store="postgres"} 1',
    ]),
  );
  expect(before.lines.join("\n")).not.toContain(account);

  await t.engine.rollUp();
  t.clock.advance(3_000);
  // The stores are asked a few times a second at most, so what they say may be that old.
  await expect
    .poll(async () => (await scrape()).lines)
    .toEqual(expect.arrayContaining(["weir_rollup_dirty_accounts 0", "weir_rollup_lag_seconds 3"]));
});

it("shows what a lost Redis stranded", async () => {
  const account = await t.newAccount("pro");
  await t.cap(account, "log_events", "day", 1_000);
  await t.check({ account, usage: { log_events: 10 } });
  await t.stack.loseRedis();
  await t.check({ account, usage: { log_events: 1 } });
  // Lent a chunk of 100, spent 10.
  await expect.poll(async () => (await scrape()).lines).toContain('weir_stranded_quantity{meter="log_events",period="day"} 90');
});

it.each(["deploy/prometheus-alerts.yaml", "deploy/grafana-dashboard.json"])("%s names only what there is", async (file) => {
  const { lines } = await scrape();
  const there = new Set(lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []));
  const text = readFileSync(join(ROOT, file), "utf8");
  const named = new Set(
    (text.match(/\b(?:weir|nodejs|process)_[a-z0-9_]+/g) ?? []).map((name) => name.replace(/_(?:bucket|count|sum)$/, "")),
  );
  expect(named.size).toBeGreaterThan(5);
  expect([...named].filter((name) => !there.has(name))).toEqual([]);
});
