import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWeir, type Ran, type RunningWeir } from "./weir.ts";

let server: RunningWeir;
const dir = mkdtempSync(join(tmpdir(), "weir-replay-"));

beforeAll(async () => {
  server = await startWeir();
});
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true });
  await server.stop();
});

interface Report {
  services: string[];
  total: { sent: number; allowed: number; denied: number; refused: number; unknown: number };
  operations: { kind: string; sent: number; allowed: number }[];
  reasons: Record<string, number>;
  meters: { meter: string; counted: number; booked: number; state: string }[];
  unreadableLines: { count: number };
  verified: boolean;
}

const reportOf = ({ stdout }: Ran): Report => JSON.parse(stdout) as Report;
const countedOf = (report: Report): Record<string, number> => Object.fromEntries(report.meters.map((m) => [m.meter, m.counted]));

async function account(plan: "free" | "pro"): Promise<string> {
  const id = `acct_${plan}_${randomInt(2 ** 40)}`;
  await server.api("PUT", `/v1/accounts/${id}`, id, { plan });
  return id;
}

/** 300 rounds over 5 objects: a put, a get that finds it, a get of a key that never was; every tenth key is deleted twice. */
function csv(): string {
  const lines = ["time,op,service,namespace,object,key,bytes"];
  for (let i = 0; i < 300; i += 1) {
    const place = `${i},OP,,,object-${i % 5},key-${i}`;
    lines.push(`${place.replace("OP", "put")},100`, `${place.replace("OP", "get")},`, `${place.replace("OP", "get")}-missing,`);
    if (i % 10 === 0) lines.push(`${place.replace("OP", "delete")},`, `${place.replace("OP", "delete")},`);
  }
  return `${lines.join("\n")}\n`;
}

function traceFile(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

// 900 puts and gets and 60 deletes: 960 requests; 300 hits read a row; 300 puts and 30 deletes that found something write one.
const COUNTED = { state_requests: 960, state_sqlite_rows_read: 300, state_sqlite_rows_written: 330 };

describe("a replay counts exactly, and Postgres agrees", () => {
  test("through checks", async () => {
    const trace = traceFile("checks.csv.gz", gzipSync(csv()));
    const ran = await server.weir(["replay", trace, "--check-only", "--batch", "50", "--json", "--account", await account("pro")]);
    const report = reportOf(ran);
    expect(ran.code).toBe(0);
    expect(report.total).toMatchObject({ sent: 960, allowed: 960, denied: 0, refused: 0, unknown: 0 });
    expect(countedOf(report)).toEqual(COUNTED);
    expect(report.meters.map((m) => [m.booked, m.state])).toEqual(Object.values(COUNTED).map((n) => [n, "equal"]));
    expect(report.verified).toBe(true);
  });

  test("through State, where the namespace is one request more", async () => {
    const trace = traceFile("state.csv", csv());
    const ran = await server.weir(["replay", trace, "--json", "--account", await account("pro")]);
    const report = reportOf(ran);
    expect(ran.code).toBe(0);
    expect(report.total).toMatchObject({ sent: 961, allowed: 961 });
    expect(countedOf(report)).toEqual({ ...COUNTED, state_requests: 961 });
    expect(report.verified).toBe(true);
  });

  test("a Free account is denied from the unit after its limit", async () => {
    const id = await account("free");
    const lines = Array.from({ length: 3_000 }, (_, i) => `${i},28,512,${i}`).map((rest) => `1,${rest}`);
    const trace = traceFile("block.csv", `version,time,op,size,lbn\n${lines.join("\n")}\n`);
    // 98,000 of the day's 100,000 requests are gone: 2,000 of 3,000 reads pass, all of them misses.
    await server.api("POST", "/v1/check", id, { account: id, service: "before", usage: { state_requests: 98_000 } });
    const ran = await server.weir(["replay", trace, "--check-only", "--json", "--account", id]);
    const report = reportOf(ran);
    expect(report.total).toMatchObject({ sent: 3_000, allowed: 2_000, denied: 1_000 });
    expect(report.reasons).toEqual({ "limit_exceeded state_requests": 1_000 });
    expect(countedOf(report)).toEqual({ state_requests: 2_000, state_sqlite_rows_read: 0, state_sqlite_rows_written: 0 });
    expect(ran.code).toBe(0);
  });

  test("an access log counts its requests and bytes beside", async () => {
    const line = (path: string, size: string): string =>
      `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET ${path} HTTP/1.1" 200 ${size} "-" "-"`;
    const trace = traceFile("access.log", `${[line("/a", "1000"), line("/b?c=d", "-"), "garbage", line("/a", "24")].join("\n")}\n`);
    const ran = await server.weir(["replay", trace, "--json", "--account", await account("pro")]);
    const report = reportOf(ran);
    expect(countedOf(report)).toEqual({
      // Three reads that miss, and the namespace.
      state_requests: 4,
      state_sqlite_rows_read: 0,
      state_sqlite_rows_written: 0,
      worker_requests: 3,
      worker_transfer_bytes: 1_024,
    });
    expect(report.unreadableLines.count).toBe(1);
    expect(ran.code).toBe(0);
  });
});

test("other traffic on the replay's service makes the self-check fail", async () => {
  const id = await account("pro");
  const trace = ["time,op,object,key", ...Array.from({ length: 50 }, (_, i) => `${i},put,o,k${i}`)].join("\n");
  const ran = await server.weir(["replay", "-", "--check-only", "--service", "shared", "--json", "--account", id], {
    // The trace's end comes after the other traffic, so that the replay cannot have verified itself before.
    feed: async (stdin) => {
      stdin.write(`${trace}\n`);
      await expect
        .poll(() => server.api("GET", "/v1/usage", id), { interval: 50 })
        .toMatchObject({ usage: { meters: { day: { state_requests: 50 } } } });
      await server.api("POST", "/v1/check", id, { account: id, service: "shared", usage: { state_requests: 7 } });
    },
  });
  const report = reportOf(ran);
  expect(ran.code).toBe(1);
  expect(report.verified).toBe(false);
  expect(report.meters.find((m) => m.meter === "state_requests")).toMatchObject({ counted: 50, booked: 57, state: "too much" });
});

describe("what is no trace", () => {
  test.each([
    ["a,b\n1,2\n", 2, "This is no trace that Weir can read"],
    ["", 2, "empty"],
    ["time,op,object,key\n1,jump,o,k\n", 1, 'Nothing to replay: line 2: "jump" is not get, put or delete'],
  ])("%j", async (content, code, reason) => {
    const ran = await server.weir(["replay", traceFile("bad", content), "--account", "acct_demo"]);
    expect(ran).toMatchObject({ code, stdout: "" });
    expect(ran.stderr).toContain(reason);
  });

  test("a damaged .gz", async () => {
    const whole = gzipSync(csv());
    const ran = await server.weir([
      "replay",
      traceFile("cut.gz", whole.subarray(0, whole.length - 200)),
      "--check-only",
      "--account",
      await account("pro"),
    ]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("the file is damaged or cut off");
  });

  test("an account that does not exist", async () => {
    const ran = await server.weir(["replay", traceFile("ok.csv", csv()), "--account", "acct_nobody"]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("acct_nobody");
  });
});
