import { fork, type ChildProcess } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { tempDir } from "../../support/temp-dir.ts";

const LIMIT = 30_000;
const HOLDERS = 3;
/** Lives of each holder that end by `kill -9`; the one after them ends by itself. */
const KILLS = 4;

let t: TestApp;
let url: string;
const dir = tempDir("client-killed");
beforeAll(async () => {
  t = await openTestApp();
  url = await t.app.listen({ port: 0, host: "127.0.0.1" });
});
afterAll(async () => {
  dir.remove();
  await t.stop();
});

const notesOf = (holder: number): string => join(dir.path, `notes-${holder}`);
const allowedBy = (holder: number): number => (existsSync(notesOf(holder)) ? statSync(notesOf(holder)).size : 0);

function start(account: string, holder: number): ChildProcess {
  const args = [url, ADMIN_KEY, account, join(dir.path, `journal-${holder}`), notesOf(holder)];
  return fork(new URL("holder.ts", import.meta.url).pathname, args);
}

const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once("exit", resolve));

/** One holder's lives: each is killed once it has done something, in the middle of whatever it is at. */
async function live(account: string, holder: number): Promise<void> {
  for (let life = 0; life < KILLS; life++) {
    const from = allowedBy(holder);
    const child = start(account, holder);
    const end = ended(child);
    await vi.waitFor(() => expect(allowedBy(holder)).toBeGreaterThan(from + 50), { timeout: 60_000, interval: 5 });
    child.kill("SIGKILL");
    await end;
  }
  expect(await ended(start(account, holder))).toBe(0);
}

it("holders that are killed never pass a limit, and what they had spent is counted when they come back", async () => {
  const account = await t.newAccount();
  await t.cap(account, "state_requests", "day", LIMIT);
  const holders = Array.from({ length: HOLDERS }, (_, i) => i);
  await Promise.all(holders.map((holder) => live(account, holder)));
  const allowed = holders.reduce((sum, holder) => sum + allowedBy(holder), 0);
  const { usage } = await t.engine.usage(account);
  const used = usage.meters.day["state_requests"] ?? 0;
  // To the unit, but for the one a life had counted and not noted yet when it was killed.
  expect(used).toBeLessThanOrEqual(LIMIT);
  expect(used - allowed).toBeGreaterThanOrEqual(0);
  expect(used - allowed).toBeLessThanOrEqual(HOLDERS * KILLS);
  expect(used).toBe(LIMIT);
});
