import { afterAll, beforeAll, expect, test } from "vitest";
import { startWeir, type RunningWeir } from "./weir.ts";

const ACCOUNT = "acct_demo";
const NOW = "2037-03-05T10:00:00.000Z";

let weir: RunningWeir;
beforeAll(async () => {
  weir = await startWeir({ WEIR_TEST_CLOCK: "1" });
});
afterAll(() => weir.stop());

test("a clock that was set stands where it stood when Weir is killed and started again, and what was used is of that day", async () => {
  const api = (method: string, path: string, body?: unknown) => weir.api(method, path, ACCOUNT, body);
  expect(await api("PUT", "/v1/test/clock", { now: NOW })).toEqual({ now: NOW });
  expect(await api("POST", "/v1/check", { account: ACCOUNT, usage: { state_requests: 5 } })).toMatchObject({ allowed: true });
  await weir.killAndStart();
  expect(await api("GET", "/v1/test/clock")).toEqual({ now: NOW });
  expect(await api("GET", "/v1/usage")).toMatchObject({ asOf: NOW, usage: { meters: { day: { state_requests: 5 } } } });
  expect(await api("POST", "/v1/test/run-jobs")).toEqual({ done: true });
  expect(await api("PUT", "/v1/test/clock", { now: "2037-03-05T09:59:59.999Z" })).toMatchObject({ code: "conflict" });
  expect(await api("GET", "/v1/test/clock")).toEqual({ now: NOW });
});
