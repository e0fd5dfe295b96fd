import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../src/doctor/finding.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import { ManualClock, SettableClock, systemClock } from "../../src/kernel/clock.ts";
import { openTestApp } from "../support/app.ts";
import { RedisNode } from "../support/redis-node.ts";
import { createTestStack, type TestStack } from "../support/stack.ts";
import { ROOT } from "../support/tools.ts";
import { run, startWeir, type RunningWeir } from "./cli/weir.ts";

/** Each misconfiguration is made in a store of the test's own, found, and ended by what the doctor says to type. */
let stack: TestStack;
let redis: RedisNode;
let engine: Engine;
let sql: postgres.Sql;
const clock = new ManualClock(systemClock.now());

beforeAll(async () => {
  stack = await createTestStack();
  redis = await RedisNode.start(stack.dataDir);
  engine = await open(clock);
  sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await engine.close();
  await sql.end();
  await redis.kill();
  await stack.stop();
});

const open = (at: SettableClock | ManualClock): Promise<Engine> =>
  createEngine({
    databaseUrl: stack.databaseUrl,
    redisUrl: `redis://127.0.0.1:${redis.port}`,
    redisPrefix: stack.keyPrefix,
    clock: at,
    redisTimeoutMs: 2_000,
  });

const of = async (check: string, patient = engine): Promise<Finding | undefined> =>
  (await patient.examine()).find((finding) => finding.check === check);

/** Types the `redis-cli config set …` that a remedy names. */
async function typeIn(remedy: string | null | undefined): Promise<void> {
  const [, name = "", value = ""] = /redis-cli config set (\S+) (\S+)/.exec(remedy ?? "") ?? [];
  await redis.ask((client) => client.config("SET", name, value));
}

describe("a Redis that", () => {
  it.each([
    ["drops keys when it is full", "redis eviction", "failed", { "maxmemory-policy": "allkeys-lru", maxmemory: "1gb" }],
    ["may drop keys one day", "redis eviction", "warning", { "maxmemory-policy": "allkeys-lru", maxmemory: "0" }],
    ["keeps nothing on disk", "redis durability", "warning", { appendonly: "no" }],
    ["is nearly full", "redis memory", "failed", { maxmemory: "1mb" }],
  ])("%s", async (_, check, state, settings) => {
    await redis.ask(async (client) => {
      for (const [name, value] of Object.entries(settings)) await client.config("SET", name, value);
    });
    const found = await of(check);
    expect(found).toMatchObject({ check, state });
    // What is full stays full until it is given room enough.
    for (let i = 0; i < 6 && (await of(check))?.state !== "ok"; i += 1) await typeIn((await of(check))?.remedy);
    expect(await of(check)).toMatchObject({ state: "ok" });
    await redis.ask((client) => client.config("SET", "maxmemory", "0"));
  });

  it("does not answer", async () => {
    redis.signal("SIGSTOP");
    try {
      expect(await of("redis")).toMatchObject({ state: "failed", remedy: expect.stringContaining("REDIS_URL") as string });
      expect(await of("postgres")).toMatchObject({ state: "ok" });
    } finally {
      redis.signal("SIGCONT");
    }
    await expect.poll(() => of("redis")).toMatchObject({ state: "ok" });
  });
});

describe("a Postgres that", () => {
  it("does not keep what it has committed", async () => {
    // The tests' own does not, for speed; a session of its database says so once more for what an operator can set.
    expect(await of("postgres durability")).toMatchObject({
      state: "warning",
      found: expect.stringMatching(/^fsync, full_page_writes off/) as string,
      remedy: expect.stringContaining("alter system set fsync = on; alter system set full_page_writes = on;") as string,
    });
    const [{ name = "" } = {}] = await sql`select current_database() as name`;
    await sql.unsafe(`alter database ${name} set synchronous_commit = off`);
    const other = await open(clock);
    try {
      expect((await of("postgres durability", other))?.found).toContain("fsync, full_page_writes, synchronous_commit off");
    } finally {
      await other.close();
      await sql.unsafe(`alter database ${name} reset synchronous_commit`);
    }
  });

  it("lacks a migration, or has one of a newer Weir", async () => {
    const [newest] = await sql<{ name: string; sha256: string }[]>`
      delete from weir_migrations where name = (select max(name) from weir_migrations) returning name, sha256`;
    expect(await of("migrations")).toMatchObject({
      state: "failed",
      found: `have not run: ${newest?.name ?? ""}`,
      remedy: expect.stringContaining("weir migrate") as string,
    });
    await sql`insert into weir_migrations (name, sha256) values (${newest?.name ?? ""}, ${newest?.sha256 ?? ""}), ('9999_later.sql', '')`;
    expect(await of("migrations")).toMatchObject({ state: "failed", found: "ran and are not known here: 9999_later.sql" });
    await sql`delete from weir_migrations where name = '9999_later.sql'`;
    expect(await of("migrations")).toMatchObject({ state: "ok" });
  });
});

describe("clocks that", () => {
  it.each([
    ["agree", 0, "ok"],
    ["are five seconds apart", 5_000, "warning"],
    ["are an hour apart", -3_600_000, "failed"],
  ])("%s", async (_, offset, state) => {
    const other = await open(new ManualClock(systemClock.now() + offset));
    try {
      expect(await of("clocks", other)).toMatchObject({ state });
    } finally {
      await other.close();
    }
  });

  it("stand still, since somebody set one", async () => {
    const standing = new SettableClock();
    const other = await open(standing);
    try {
      expect(await of("clocks", other)).toMatchObject({ state: "ok" });
      standing.set(systemClock.now() + 1);
      expect(await of("clocks", other)).toMatchObject({ state: "warning", remedy: expect.stringContaining("WEIR_TEST_CLOCK") as string });
    } finally {
      await other.close();
    }
  });
});

it("no worker: what was counted waits to be booked, and says since when", async () => {
  await engine.limits.putAccount("acct_1", { plan: "pro" }, clock.now());
  await engine.rollUp();
  expect(await of("rollup")).toMatchObject({ state: "ok" });
  clock.advance(61_000);
  await engine.gate.check({ account: "acct_1", usage: { state_requests: 1 } }, clock.now());
  expect(await of("rollup")).toMatchObject({
    state: "warning",
    found: expect.stringMatching(/^1 account waits to be booked, and the last roll-up ended at /) as string,
    remedy: expect.stringContaining("weir worker") as string,
  });
  await engine.rollUp();
  expect(await of("rollup")).toMatchObject({ state: "ok" });
});

it("an endpoint that was put out of use, and how it comes back", async () => {
  const t = await openTestApp();
  const db = postgres(t.stack.databaseUrl, { max: 1 });
  try {
    const account = await t.newAccount();
    const { body } = await t.send("POST", "/v1/webhooks", { account, body: { url: "https://example.com/hook" } });
    const id = String(body["id"]);
    const finding = async (): Promise<Finding | undefined> => {
      const answer = await t.send("GET", "/v1/doctor");
      return (answer.body["findings"] as Finding[]).find(({ check }) => check === "webhooks");
    };
    expect(await finding()).toMatchObject({ state: "ok" });
    await db`update webhooks set disabled_at = now(), disabled_reason = 'gone' where id = ${id}`;
    expect(await finding()).toMatchObject({
      state: "warning",
      found: expect.stringMatching(new RegExp(`${id} of ${account} at .*it answered 410 Gone`)) as string,
      remedy: expect.stringContaining(`weir webhooks enable ${id} --account ${account}`) as string,
    });
    await t.send("POST", `/v1/webhooks/${id}/enable`, { account });
    expect(await finding()).toMatchObject({ state: "ok" });
  } finally {
    await db.end();
    await t.stop();
  }
});

describe("weir doctor, of a Weir that runs", () => {
  let weir: RunningWeir;
  beforeAll(async () => {
    weir = await startWeir({ WEIR_ADMIN_KEY: "changeme-please", WEIR_TEST_CLOCK: "1" });
  });
  afterAll(() => weir.stop());

  const doctor = async (args: string[], env: Record<string, string> = {}): Promise<{ code: number | null; findings: Finding[] }> => {
    const { code, stdout } = await weir.weir(["doctor", "--json", ...args], { env });
    return { code, findings: (JSON.parse(stdout) as { findings: Finding[] }).findings };
  };
  const find = (findings: readonly Finding[], check: string): Finding | undefined => findings.find((finding) => finding.check === check);

  it("whose operator's key can be guessed", async () => {
    const { code, findings } = await doctor([]);
    expect(code).toBe(0);
    expect(find(findings, "operator's key")).toMatchObject({
      state: "warning",
      found: expect.stringContaining('has "changeme" in it') as string,
      remedy: expect.stringContaining("openssl rand") as string,
    });
  });

  it("with a key that is wrong", async () => {
    const { code, findings } = await doctor(["--key", "weir_admin_wrong"]);
    expect(code).toBe(1);
    expect(find(findings, "key")).toMatchObject({ state: "failed", remedy: expect.stringContaining("--key") as string });
  });

  it("at an address where nothing answers, and where something else does", async () => {
    const nothing = await doctor(["--url", "http://127.0.0.1:9", "--key", "k"]);
    expect(nothing.code).toBe(1);
    expect(find(nothing.findings, "api")).toMatchObject({ state: "failed", remedy: expect.stringContaining("npm start") as string });
    const elsewhere = await doctor(["--url", `${weir.url}/docs`, "--key", "k"]);
    expect(find(elsewhere.findings, "api")).toMatchObject({
      state: "failed",
      found: expect.stringContaining("that is not Weir") as string,
      remedy: expect.stringContaining("--url") as string,
    });
  });

  it("for an account that does not exist", async () => {
    const { findings } = await doctor(["--account", "acct_nobody"]);
    expect(find(findings, "key")).toMatchObject({ state: "failed", remedy: expect.stringContaining("weir accounts list") as string });
  });

  it("over a network that others can listen to", async () => {
    const { stdout } = await run(["doctor", "--json", "--url", "http://weir.invalid.example.", "--key", "k"], { PATH: "" });
    expect(find((JSON.parse(stdout) as { findings: Finding[] }).findings, "transport")).toMatchObject({
      state: "warning",
      remedy: expect.stringContaining("https://") as string,
    });
  });

  it("looks for nothing that its page does not explain", async () => {
    const page = readFileSync(join(ROOT, "docs/how-to/find-what-is-wrong.md"), "utf8");
    const explained = new Set([...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, check]) => check));
    const { findings } = await doctor([]);
    const checks = findings.map(({ check }) => (check.startsWith("invariant ") ? "invariant …" : check));
    // `/ready` says once more, in a word, what the stores are found to be.
    expect([...new Set(checks)].filter((check) => check !== "ready" && !explained.has(check))).toEqual([]);
  });

  it("says for everything that is not well what to type", async () => {
    const { findings } = await doctor(["--key", "weir_admin_wrong"]);
    expect(findings.filter(({ state, remedy }) => state !== "ok" && !remedy)).toEqual([]);
  });
});
