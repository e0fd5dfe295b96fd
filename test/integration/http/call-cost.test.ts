import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";

let t: TestApp;
let account: string;
beforeAll(async () => {
  t = await openTestApp();
  account = await t.newAccount();
});
afterAll(() => t.stop());

const STATE = "/v1/services/chat/state/namespaces";
const OBJECT = `${STATE}/Room/objects/room-1`;

it("every answer of the data plane says what the call counted, and the counters agree", async () => {
  await t.send("POST", STATE, { account, body: { name: "Room" } });
  const calls: [method: "GET" | "PUT" | "DELETE", url: string, body: unknown, counted: string | undefined][] = [
    ["PUT", `${OBJECT}/values/topic`, { value: "hello" }, "state_requests=1, state_sqlite_rows_written=1"],
    ["GET", `${OBJECT}/values/topic`, undefined, "state_requests=1, state_sqlite_rows_read=1"],
    ["GET", `${OBJECT}/values/nothing`, undefined, "state_requests=1"],
    ["GET", `${OBJECT}/keys`, undefined, "state_requests=1, state_sqlite_rows_read=1"],
    ["DELETE", `${OBJECT}/values/topic`, undefined, "state_requests=1, state_sqlite_rows_written=1"],
    ["PUT", `${OBJECT}/values/topic`, { value: 1 }, undefined],
  ];
  const before = (await t.engine.usage(account)).usage.meters.day["state_requests"] ?? 0;
  for (const [method, url, body, counted] of calls) {
    const { headers } = await t.send(method, url, { account, ...(body === undefined ? {} : { body }) });
    expect({ method, url, counted: headers["weir-usage"] }).toEqual({ method, url, counted });
  }
  expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(before + 5);
});

it("a denied call counted nothing and says nothing", async () => {
  await t.cap(account, "state_sqlite_rows_written", "day", 0);
  const denied = await t.send("PUT", `${OBJECT}/values/topic`, { account, body: { value: "hello" } });
  expect(denied.status).toBe(429);
  expect(denied.headers["weir-usage"]).toBeUndefined();
});
