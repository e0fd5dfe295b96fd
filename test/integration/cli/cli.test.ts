import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tempDir } from "../../support/temp-dir.ts";
import { startWeir, type Ran, type RunningWeir } from "./weir.ts";

let server: RunningWeir;

beforeAll(async () => {
  server = await startWeir();
});
afterAll(() => server.stop());

const weir = (line: string, env?: Record<string, string>): Promise<Ran> => server.weir(line.split(" "), env ? { env } : {});

async function json(line: string): Promise<unknown> {
  const { code, stdout, stderr } = await weir(`${line} --json`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Runs a line that must succeed; answers what it printed. */
async function said(line: string): Promise<string> {
  const { code, stdout, stderr } = await weir(line);
  expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: "" });
  return stdout;
}

test("the first five minutes: create, put, get, keys, limits, usage, pricing", async () => {
  await said("state create --service service_1 Room");
  await said("state put --service service_1 Room room-1 counter 1");
  expect(await said("state get --service service_1 Room room-1 counter")).toBe("1\n");
  expect(await said("state keys --service service_1 Room room-1")).toMatch(/^KEY .*\ncounter +1 B /);
  expect(await json("state keys --service service_1 Room room-1")).toMatchObject({
    keys: [{ key: "counter", valueSizeBytes: 1 }],
    listComplete: true,
    nextCursor: null,
  });
  expect(await json("limits set state_requests --period month --value 1000000 --notify-at-percent 80")).toMatchObject({
    meter: "state_requests",
    period: "month",
    capValue: 1_000_000,
    hardStop: true,
    notifyAtPercent: 80,
  });
  // create, put, get, keys twice: 5 requests; get 1 and keys 1 each: 3 rows read; 1 row written.
  expect(await json("usage")).toMatchObject({
    account: "acct_demo",
    plan: "free",
    usage: { meters: { day: { state_requests: 5, state_sqlite_rows_read: 3, state_sqlite_rows_written: 1 } } },
    usageCaps: [{ meter: "state_requests", used: 5, remaining: 999_995 }],
  });
  expect(await json("pricing")).toMatchObject({ currency: "USD", plans: [{ key: "free" }, { key: "pro" }] });
});

test("bytes go in and come out as they were", async () => {
  await said("state create --service bytes Room");
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const put = await server.weir(["state", "put", "--service", "bytes", "Room", "r", "all bytes", "--file", "-"], {
    feed: async (stdin) => void stdin.write(bytes),
  });
  expect(put).toMatchObject({ code: 0, stderr: "" });
  const read = await server.weir(["state", "get", "--service", "bytes", "Room", "r", "all bytes", "--base64"]);
  expect(Buffer.from(read.stdout, "base64")).toEqual(bytes);
});

test("a value over 2 MiB is denied by its ceiling", async () => {
  const put = await server.weir(["state", "put", "--service", "bytes", "Room", "r", "big", "--file", "-"], {
    feed: async (stdin) => void stdin.write(Buffer.alloc(2_097_152)),
  });
  // The key's three bytes come on top.
  expect(put).toMatchObject({ code: 3, stdout: "" });
  expect(put.stderr).toContain("payload (ceiling, request): ");
  expect(put.stderr).toContain("of 2,097,152 used, 2,097,155 requested");
});

describe("a limit", () => {
  test("denies with exit code 3, changes nothing, and its removal is in force at once", async () => {
    await said("accounts create acct_limit --plan free");
    await said("--account acct_limit state create --service s Room");
    await said("--account acct_limit state put --service s Room r k first");
    await said("--account acct_limit limits set state_sqlite_rows_written --period day --value 1");
    const denied = await weir("--account acct_limit state put --service s Room r k second");
    expect(denied).toMatchObject({ code: 3, stdout: "" });
    expect(denied.stderr).toContain("state_sqlite_rows_written (cap, account, day): 1 of 1 used, 1 requested; resets ");
    expect(denied.stderr).toMatch(/\n {2}→ /);
    expect(await said("--account acct_limit state get --service s Room r k")).toBe("first\n");
    await said("--account acct_limit limits delete state_sqlite_rows_written --period day");
    await said("--account acct_limit state put --service s Room r k second");
  });

  test("denies a check with exit code 3 and counts nothing", async () => {
    await said("accounts create acct_check --plan free");
    await said("--account acct_check limits set log_events --period day --value 5");
    await said("--account acct_check check --usage log_events=5");
    const denied = await weir("--account acct_check check --usage log_events=1 --json");
    expect(denied.code).toBe(3);
    expect(JSON.parse(denied.stdout)).toMatchObject({
      allowed: false,
      denials: [{ meter: "log_events", source: "cap", limit: 5, used: 5 }],
    });
    expect(await json("--account acct_check usage")).toMatchObject({ usage: { meters: { day: { log_events: 5 } } } });
  });
});

test("an account's key acts for its account alone", async () => {
  await said("accounts create acct_key");
  const { stdout } = await weir("--account acct_key keys create --scope read_only --json");
  const { key, id } = JSON.parse(stdout) as { key: string; id: string };
  const own = { WEIR_URL: server.url, WEIR_KEY: key };
  expect(JSON.parse((await weir("usage --json", own)).stdout)).toMatchObject({ account: "acct_key" });
  expect(await weir("limits set log_events --period day --value 1", own)).toMatchObject({ code: 1, stdout: "" });
  expect(await weir("usage --account acct_demo", own)).toMatchObject({ code: 1, stdout: "" });
  await said(`--account acct_key keys delete ${id}`);
  const revoked = await weir("usage", own);
  expect(revoked.code).toBe(1);
  expect(revoked.stderr).toContain("WEIR_KEY");
});

test("a key is rotated with an overlap", async () => {
  await said("accounts create acct_rotate");
  const made = JSON.parse((await weir("--account acct_rotate keys create --json")).stdout) as { key: string; id: string };
  const next = (await weir(`--account acct_rotate keys rotate ${made.id} --overlap-seconds 3600`)).stdout.trim();
  for (const WEIR_KEY of [made.key, next]) expect((await weir("usage", { WEIR_URL: server.url, WEIR_KEY })).code).toBe(0);
  expect(await said("--account acct_rotate keys list")).toContain("replaced by key_");
  expect((await weir(`--account acct_rotate keys rotate ${made.id}`)).code).toBe(1);
  expect((await weir(`--account acct_rotate keys rotate ${made.id} --overlap-seconds -1`)).code).toBe(2);
});

test("a change of plan lifts the limit for the next check", async () => {
  await said("accounts create acct_plan --plan free");
  const tooMuch = "--account acct_plan check --usage state_requests=100001";
  expect((await weir(tooMuch)).code).toBe(3);
  await said("accounts plan acct_plan pro");
  expect((await weir(tooMuch)).code).toBe(0);
});

test("the catalogue's file is shown as a difference, then applied", async () => {
  const file = JSON.stringify({ meters: [{ name: "fax_pages", product: "logs", unit: "page", kind: "counter", description: "Faxes." }] });
  const feedFile = async (verb: string): Promise<Ran> => {
    const { mkdtemp, writeFile, rm } = await import("node:fs/promises");
    const dir = await mkdtemp("/tmp/weir-catalog-");
    try {
      await writeFile(`${dir}/new.json`, file);
      return await weir(`catalog ${verb} ${dir}/new.json`);
    } finally {
      await rm(dir, { recursive: true });
    }
  };
  expect((await feedFile("diff")).stdout).toContain("+ meters.fax_pages: ");
  expect(await feedFile("apply")).toMatchObject({ code: 0, stdout: "Version 2 is in force.\n" });
  expect((await feedFile("diff")).stdout).toBe("No changes.\n");
  expect((await weir("check --usage fax_pages=1")).code).toBe(0);
});

test("the audit log is listed, exported, verified, and held against an earlier export", async () => {
  await said("accounts create acct_audit");
  await said("--account acct_audit limits set log_events --period day --value 3");
  expect(await said("audit list --of acct_audit")).toMatch(/operator \(admin\) +putUsageCapsByMeter +caps\.insert +log_events\/day/);
  expect(await said("audit verify")).toMatch(/^Sound: \d+ entries in \d+ chains\.\n$/);
  const dir = tempDir("audit");
  const first = join(dir.path, "first.jsonl");
  writeFileSync(first, (await weir("audit export")).stdout);
  await said("--account acct_audit limits delete log_events --period day");
  expect(await said(`audit verify --against ${first}`)).toContain("Sound");
  expect(await said(`audit verify --file ${first}`)).toContain("Sound");
  const forged = join(dir.path, "forged.jsonl");
  writeFileSync(forged, readFileSync(first, "utf8").replace('"scope":"admin"', '"scope":"account"'));
  expect(await weir(`audit verify --file ${forged}`)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("is not what was hashed") as string,
  });
  expect((await weir("audit verify --file /nonexistent")).code).toBe(2);
  dir.remove();
});

test("the doctor finds a healthy patient", async () => {
  const { code, stdout } = await weir("doctor");
  expect(stdout).not.toContain("failed");
  expect(code).toBe(0);
});

test("a page says where it goes on", async () => {
  await said("state create --service paged Room");
  for (const key of ["a", "b", "c"]) await said(`state put --service paged Room r ${key} 1`);
  const first = await said("state keys --service paged Room r --limit 2");
  const cursor = /add --cursor (\S+)/.exec(first)?.[1] ?? "";
  const second = await said(`state keys --service paged Room r --limit 2 --cursor ${cursor}`);
  expect(first).toMatch(/\na .*\nb /);
  expect(second).toMatch(/\nc /);
  expect(second).not.toContain("--cursor");
});

test("the demo ends at the limit, with the denial and its remedy", async () => {
  await said("accounts create acct_show --plan free");
  await said("--account acct_show limits set state_requests --period day --value 400");
  const { code, stdout, stderr } = await weir("--account acct_show demo --seconds 5");
  expect(code).toBe(0);
  expect(stderr).toContain("Weir demo: account acct_show on plan free, 400 state_requests a day.");
  expect(stdout).toContain("Denied: ");
  expect(stdout).toContain("400 of 400 used");
  expect(stdout).toContain("weir accounts plan acct_show pro");
  expect(stdout).not.toContain("\u001b");
  await said("--account acct_show limits delete state_requests --period day");
  expect(await said("--account acct_show state objects --service demo Demo")).toMatch(/\ncluster-\d+-\d/);
});

test("a namespace is made together with its service's worker; an address that is none makes nothing", async () => {
  for (const address of ["worker", "ftp://worker.example"]) {
    expect((await weir(`state create --service worked Room --worker-url ${address}`)).code).toBe(2);
  }
  expect(await said("state list --service worked")).toMatch(/^No namespaces/);
  const worker = "http://worker.example:9000/base";
  expect(await json(`state create --service worked Room --worker-url ${worker}`)).toMatchObject({ name: "Room", service: "worked" });
  const service = (): Promise<unknown> => server.api("GET", "/v1/services/worked", "acct_demo");
  expect(await service()).toMatchObject({ workerUrl: worker });
  // A name that is taken changes no address; one made without an address leaves it.
  expect((await weir("state create --service worked Room --worker-url http://other.example")).code).toBe(1);
  await said("state create --service worked Hall");
  expect(await service()).toMatchObject({ workerUrl: worker });
});

test("an alarm: set, shown, deleted; exit code 3 when a limit denies it", async () => {
  await said("state create --service alarms Room");
  const alarm = "--service alarms Room room-1";
  expect(await said(`state alarm get ${alarm}`)).toBe("Room/room-1 has no alarm.\n");
  expect(await said(`state alarm set ${alarm} --delay-seconds 3600`)).toMatch(/^Set the alarm of Room\/room-1 to 20\S+Z\.\n$/);
  expect(await said(`state alarm get ${alarm}`)).toMatch(/^Room\/room-1 has its alarm at 20\S+Z\.\n$/);
  expect(await json(`state alarm set ${alarm} 2030-01-01T00:00:00Z`)).toMatchObject({ scheduledAt: "2030-01-01T00:00:00.000Z" });
  expect(await json(`state alarm set ${alarm} 1893456000000`)).toMatchObject({ scheduledAt: "2030-01-01T00:00:00.000Z" });
  expect(await said(`state alarm delete ${alarm}`)).toBe("Deleted the alarm of Room/room-1.\n");
  expect(await said(`state alarm delete ${alarm}`)).toBe("There was no alarm of Room/room-1.\n");
  for (const line of ["", "--delay-seconds 1 2030-01-01T00:00:00Z", "--delay-seconds -1"]) {
    expect({ line, code: (await weir(`state alarm set ${alarm} ${line}`.trim())).code }).toEqual({ line, code: 2 });
  }
  // It has no worker: once due it waits, and says for what.
  await said(`state alarm set ${alarm} --delay-seconds 0`);
  await expect.poll(() => said(`state alarm get ${alarm}`), { interval: 500 }).toMatch(/its service has no worker/);
  await said("limits set state_sqlite_rows_written --period day --value 0");
  const denied = await weir(`state alarm set ${alarm} --delay-seconds 1 --json`);
  expect(denied).toMatchObject({ code: 3 });
  expect(JSON.parse(denied.stdout)).toMatchObject({ code: "limit_exceeded", denials: [{ meter: "state_sqlite_rows_written" }] });
  await said("limits delete state_sqlite_rows_written --period day");
});
