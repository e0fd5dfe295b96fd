import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { ROOT } from "../../support/tools.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
  await t.app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(() => t.stop());

it("weir usage --watch --json: a line for each change, until Ctrl-C", async () => {
  const account = await t.newAccount();
  const url = `http://127.0.0.1:${(t.app.server.address() as AddressInfo).port}`;
  const child = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), "usage", "--watch", "--json"], {
    env: { PATH: process.env["PATH"], WEIR_URL: url, WEIR_KEY: ADMIN_KEY, WEIR_ACCOUNT: account },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextUsed = async (): Promise<number> => {
    const { meters } = JSON.parse(String((await lines.next()).value)) as { meters: { meter: string; used: number }[] };
    return meters.find(({ meter }) => meter === "state_requests")?.used ?? -1;
  };
  expect(await nextUsed()).toBe(0);
  await t.check({ account, usage: { state_requests: 3 } });
  expect(await nextUsed()).toBe(3);
  child.kill("SIGINT");
  expect(await ended).toBe(0);
});
