import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lockDataDir } from "../../../src/servers/data-dir.ts";
import { type PostgresServer, startPostgres } from "../../../src/servers/postgres.ts";
import { isRunning } from "../../../src/servers/process.ts";
import { type RedisServer, startRedis } from "../../../src/servers/redis.ts";
import { createTestStack } from "../../support/stack.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { ROOT } from "../../support/tools.ts";

const dir = tempDir("servers");
/** Programs that tests started: a test that fails half-way must not leave them, and the run waiting for them. */
const programs: ChildProcess[] = [];
afterAll(() => {
  for (const program of programs) program.kill("SIGKILL");
  dir.remove();
});

/** A data folder for one test, in which Postgres need not be initialised again. */
const place = (name: string): string => {
  const path = join(dir.path, name);
  mkdirSync(path, { mode: 0o700 });
  return path;
};

const until = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
  await expect.poll(condition, { timeout: 10_000, interval: 20, message: what }).toBe(true);
};

async function query(url: string, text: string): Promise<unknown> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5 });
  try {
    return (await sql.unsafe(text))[0]?.["answer"];
  } finally {
    await sql.end();
  }
}

async function ask(url: string, use: (client: Redis) => Promise<unknown>): Promise<unknown> {
  const client = new Redis(url, { retryStrategy: () => null, protocol: 2, lazyConnect: true, enableReadyCheck: false });
  client.on("error", () => {});
  try {
    await client.connect();
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** Runs a program that starts both servers on `dataDir`, and answers when they are up. */
async function startElsewhere(dataDir: string): Promise<{ pids: number[]; kill: (signal: NodeJS.Signals) => Promise<void> }> {
  const program = `
    const { startPostgres } = await import(${JSON.stringify(join(ROOT, "src/servers/postgres.ts"))});
    const { startRedis } = await import(${JSON.stringify(join(ROOT, "src/servers/redis.ts"))});
    const dataDir = ${JSON.stringify(dataDir)};
    const [postgres, redis] = await Promise.all([startPostgres({ dataDir, fast: true }), startRedis({ dataDir })]);
    console.log(postgres.pid + " " + redis.pid);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  programs.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  return { pids: line.toString().trim().split(" ").map(Number), kill };
}

/** Stops the watchers (`sh` processes that hold `pid` in their arguments), as a machine out of memory might. */
async function killWatchersOf(pid: number): Promise<void> {
  const list = spawn("ps", ["-eo", "pid=,args="], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  list.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(list, "close");
  const watchers = text.split("\n").filter((line) => line.includes("read -r line") && line.trimEnd().endsWith(` ${pid}`));
  expect(watchers).toHaveLength(1);
  for (const line of watchers) process.kill(Number.parseInt(line, 10), "SIGKILL");
}

describe("a private Postgres", () => {
  const dataDir = place("postgres");
  const said: string[] = [];
  let server: PostgresServer;
  const options = { dataDir, fast: true, onDeath: ({ signal }: { signal: string | null }) => void said.push(String(signal)) };

  beforeAll(async () => {
    server = await startPostgres(options);
  });
  afterAll(() => server.stop());

  test("answers as Weir's own database, in UTF-8, on 127.0.0.1 only", async () => {
    expect(await query(server.url, "select current_database() || ' ' || current_setting('server_encoding') as answer")).toBe("weir UTF8");
    expect(await query(server.url, "select current_setting('listen_addresses') as answer")).toBe("127.0.0.1");
    expect(await query(server.url, "select current_setting('unix_socket_directories') as answer")).toBe("");
  });

  test("lets nobody in without the password, which nobody else can read", async () => {
    const url = new URL(server.url);
    url.password = "wrong";
    await expect(query(url.href, "select 1 as answer")).rejects.toThrow(/password authentication failed/);
    expect(statSync(join(dataDir, "postgres")).mode & 0o077).toBe(0);
    expect(statSync(join(dataDir, "postgres", "password")).mode & 0o777).toBe(0o600);
  });

  test("is started again on the same address when it dies, with what it held", async () => {
    await query(server.url, "create table kept as select 42 as answer");
    const before = server.pid;
    server.kill("SIGKILL");
    await until("Postgres is back", () => server.pid !== null && server.pid !== before);
    await until("it answers", () =>
      query(server.url, "select answer from kept").then(
        (answer) => answer === 42,
        () => false,
      ),
    );
    expect(said).toEqual(["SIGKILL"]);
  });

  test("keeps its data over an orderly stop and start", async () => {
    const before = server.pid ?? 0;
    await server.stop();
    expect(await isRunning(before)).toBe(false);
    server = await startPostgres(options);
    expect(await query(server.url, "select answer from kept")).toBe(42);
  });

  test("is not confused by a stranger that was given its pid", async () => {
    await server.stop();
    const pidFile = join(dataDir, "postgres", "data", "postmaster.pid");
    writeFileSync(pidFile, `${process.pid}\n${join(dataDir, "postgres", "data")}\n0\n1\n\n127.0.0.1\n0 0\nready   \n`);
    server = await startPostgres(options);
    expect(await query(server.url, "select answer from kept")).toBe(42);
  });

  test("of another major version is refused with what to do", async () => {
    await server.stop();
    const versionFile = join(dataDir, "postgres", "data", "PG_VERSION");
    const version = readFileSync(versionFile, "utf8");
    writeFileSync(versionFile, "15\n");
    await expect(startPostgres(options)).rejects.toThrow(/was written by Postgres 15.*DATABASE_URL/);
    writeFileSync(versionFile, version);
    server = await startPostgres(options);
  });
});

describe("a private Redis", () => {
  const dataDir = place("redis");
  const said: string[] = [];
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis({ dataDir, log: (line) => said.push(line) });
  });
  afterAll(() => server.stop());

  test("is a real one that never evicts and writes what it is told", async () => {
    expect(server.kind).not.toBe("javascript");
    expect(server.durable).toBe(true);
    const config = (await ask(server.url, (client) => client.config("GET", "append*"))) as string[];
    expect(config.join(" ")).toMatch(/appendonly yes/);
    expect(config.join(" ")).toMatch(/appendfsync everysec/);
    expect(await ask(server.url, (client) => client.config("GET", "maxmemory-policy"))).toEqual(["maxmemory-policy", "noeviction"]);
    expect(await ask(server.url, (client) => client.config("GET", "bind"))).toEqual(["bind", "127.0.0.1"]);
  });

  test("lets nobody in without the password, which stands in no argument", async () => {
    const url = new URL(server.url);
    const secret = url.password;
    url.password = "";
    await expect(ask(url.href, (client) => client.get("x"))).rejects.toThrow(/NOAUTH/);
    expect(secret).toHaveLength(32);
    expect(readFileSync(`/proc/${server.pid}/cmdline`, "utf8")).not.toContain(secret);
    expect(statSync(join(dataDir, "redis", "redis.conf")).mode & 0o777).toBe(0o600);
  });

  test("killed, is back on the same address with all it had answered", async () => {
    for (let n = 1; n <= 50; n += 1) await ask(server.url, (client) => client.incr("kept"));
    const before = server.pid;
    server.kill("SIGKILL");
    await until("Redis is back", () => server.pid !== null && server.pid !== before);
    await until("it answers", () =>
      ask(server.url, (client) => client.get("kept")).then(
        (value) => value === "50",
        () => false,
      ),
    );
  });

  test("says so when the end of its append-only file was torn", async () => {
    await server.stop();
    const manifest = readFileSync(join(dataDir, "redis", "appendonlydir", "appendonly.aof.manifest"), "utf8");
    const file = join(dataDir, "redis", "appendonlydir", /file (\S+\.incr\.aof)/.exec(manifest)?.[1] ?? "");
    writeFileSync(file, readFileSync(file).subarray(0, -5));
    server = await startRedis({ dataDir, log: (line) => said.push(line) });
    expect(await ask(server.url, (client) => client.get("kept"))).toBe("49");
    expect(said.join("\n")).toMatch(/append-only file torn/);
  });
});

describe("the JavaScript Redis, where there is no real one", () => {
  test("works, listens on 127.0.0.1 only, and warns of what it costs", async () => {
    const said: string[] = [];
    const server = await startRedis({ dataDir: place("javascript"), program: "javascript", log: (line) => said.push(line) });
    try {
      expect(server).toMatchObject({ kind: "javascript", durable: false });
      expect(said.join()).toMatch(/keeps nothing on disk.*Install redis-server, or set REDIS_URL/);
      expect(await ask(server.url, (client) => client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "n", "5"))).toBe(5);
      // ::1 stands for every other address of the machine.
      const elsewhere = connect(Number(new URL(server.url).port), "::1");
      const [outcome] = (await Promise.race([
        once(elsewhere, "connect").then(() => ["open"]),
        once(elsewhere, "close").then(() => ["refused"]),
      ]).catch(() => ["refused"])) as [string];
      elsewhere.destroy();
      expect(outcome).toBe("refused");
    } finally {
      await server.stop();
    }
  });
});

describe("when the process that started them is killed", () => {
  test("both servers are stopped by their watchers", async () => {
    const elsewhere = await startElsewhere(place("killed"));
    await elsewhere.kill("SIGKILL");
    for (const pid of elsewhere.pids) await until(`${pid} has ended`, async () => !(await isRunning(pid)));
  });

  test("and the watchers too, the next start reaps the servers and finds their data", async () => {
    const dataDir = place("orphaned");
    const elsewhere = await startElsewhere(dataDir);
    for (const pid of elsewhere.pids) await killWatchersOf(pid);
    await elsewhere.kill("SIGKILL");
    for (const pid of elsewhere.pids) expect(await isRunning(pid)).toBe(true);
    const said: string[] = [];
    const log = (line: string): void => void said.push(line);
    const [pg, redis] = await Promise.all([startPostgres({ dataDir, fast: true, log }), startRedis({ dataDir, log })]);
    try {
      for (const pid of elsewhere.pids) expect(await isRunning(pid)).toBe(false);
      expect(said.filter((line) => line.includes("left behind"))).toHaveLength(2);
      expect(await query(pg.url, "select 1 as answer")).toBe(1);
      expect(await ask(redis.url, (client) => client.ping())).toBe("PONG");
    } finally {
      await Promise.all([pg.stop(), redis.stop()]);
    }
  });
});

describe("a data folder", () => {
  test("belongs to one Weir at a time, and to the next as soon as that one ends", async () => {
    const dataDir = place("locked");
    const first = await lockDataDir(dataDir);
    expect(first).not.toBeNull();
    expect(await lockDataDir(dataDir)).toBeNull();
    first?.release();
    const second = await lockDataDir(dataDir);
    expect(second).not.toBeNull();
    second?.release();
  });
});

describe("test stacks", () => {
  test("share nothing", async () => {
    const [one, two] = await Promise.all([createTestStack(), createTestStack()]);
    try {
      await query(one.databaseUrl, "create table mine as select 1 as answer");
      await expect(query(two.databaseUrl, "select answer from mine")).rejects.toThrow(/does not exist/);
      await ask(one.redisServer, (client) => client.set("k", "1"));
      expect(await ask(two.redisServer, (client) => client.get("k"))).toBeNull();
      expect(one.dataDir).not.toBe(two.dataDir);
    } finally {
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});
