import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

it("names who is stopped, who is near and who is only told, and nobody else", async () => {
  const [stopped, near, soft, fine] = [await t.newAccount(), await t.newAccount(), await t.newAccount(), await t.newAccount()];
  await t.cap(stopped, "state_requests", "day", 10);
  await t.cap(near, "state_requests", "day", 10);
  await t.cap(fine, "state_requests", "day", 10);
  const change = { period: "day", capValue: 10, hardStop: false, notifyAtPercent: 80 } as const;
  await t.engine.limits.setCap(soft, "state_requests", change, t.clock.now());
  const used: [account: string, quantity: number][] = [
    [stopped, 10],
    [near, 8],
    [soft, 11],
    [fine, 7],
  ];
  for (const [account, quantity] of used) await t.check({ account, usage: { state_requests: quantity } });
  await t.engine.rollUp();
  const { body } = await t.send("GET", "/v1/standings");
  const found = (body["standings"] as { account: string; state: string; hardStop: boolean }[]).map((s) => [s.account, s.state, s.hardStop]);
  expect(found).toEqual([
    [soft, "exceeded", false],
    [stopped, "exceeded", true],
    [near, "warning", true],
  ]);
  expect((await t.send("GET", "/v1/standings", { key: await t.key("account", near) })).status).toBe(403);
});

it("tells what a catalogue changes before it is applied, and what each version changed", async () => {
  const plan = t.engine.catalog.plans.find(({ key }) => key === "pro");
  const patch = { plans: [{ ...plan, name: "Professional" }] };
  const change = { kind: "changed", path: "plans.pro.name", text: '~ plans.pro.name: "Pro" → "Professional"' };
  const before = t.engine.version;
  expect((await t.send("POST", "/v1/catalog/changes", { body: patch })).body).toEqual({ changes: [change] });
  expect(t.engine.version).toBe(before);
  await t.send("PUT", "/v1/catalog", { body: patch });
  const { body } = await t.send("GET", "/v1/catalog/versions?limit=1");
  expect(body).toMatchObject({ versions: [{ version: before + 1 }], nextCursor: expect.any(String) });
  const url = (version: number): string => `/v1/catalog/versions/${version}/changes`;
  expect((await t.send("GET", url(before + 1))).body).toEqual({ changes: [change] });
  expect((await t.send("GET", url(before + 2))).status).toBe(404);
  expect((await t.send("GET", url(1))).body).toEqual({ changes: [] });
});
