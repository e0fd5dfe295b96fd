import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { ROOT } from "../../support/tools.ts";

const KEY = "the-operators-key-of-workers";
const WORKERS = 2;

let stack: TestStack;
let program: ChildProcess | undefined;
let url: string;
const said: string[] = [];

const environment = () => ({
  ...process.env,
  DATABASE_URL: stack.databaseUrl,
  REDIS_URL: stack.redisServer,
  WEIR_ADMIN_KEY: KEY,
  WEIR_DATA_DIR: join(stack.dataDir, "weir"),
  PORT: "0",
  LOG_LEVEL: "silent",
  WEIR_HOT_ACCOUNTS: "acct_hot=4",
});

async function started(args: string[], ready: RegExp): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), ...args], {
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.stderr) createInterface(child.stderr).on("line", (line) => said.push(line));
  if (!child.stdout) throw new Error("no output");
  for await (const line of createInterface(child.stdout)) if (ready.test(line)) return { child, line };
  throw new Error(`ended: ${said.join("\n")}`);
}

beforeAll(async () => {
  stack = await createTestStack();
  const { child, line } = await started(["serve", "--workers", String(WORKERS)], /ready at/);
  program = child;
  url = line.replace(/^.*ready at /, "");
});
afterAll(async () => {
  program?.kill("SIGKILL");
  await stack.stop();
});

const ask = (path: string, init: RequestInit & { json?: unknown } = {}, account = "acct_demo") =>
  fetch(url + path, {
    ...init,
    ...(init.json === undefined ? {} : { body: JSON.stringify(init.json) }),
    headers: {
      authorization: `Bearer ${KEY}`,
      "weir-account": account,
      ...(init.json === undefined ? {} : { "content-type": "application/json" }),
    },
  });

/** Times a check is sent again. */
const AGAIN_MAX = 20;

/**
 * One check, asked for again under its key where a store was late with its answer, as it may be on a busy machine. A process that stops is
 * no such reason.
 */
async function check(n = 1): Promise<Response> {
  const json = { account: "acct_demo", usage: { log_events: n }, idempotencyKey: randomUUID() };
  for (let again = 0; ; again++) {
    const answer = await ask("/v1/check", { method: "POST", json });
    if (answer.status !== 503 || again === AGAIN_MAX || !(await answer.clone().text()).includes("cannot be reached")) return answer;
  }
}

/** The processes that serve the port: children of the one that was started. */
async function pids(): Promise<number[]> {
  const ps = spawn("ps", ["-o", "pid=,args=", "--ppid", String(program?.pid)], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  ps.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(ps, "close");
  return text
    .split("\n")
    .filter((line) => line.includes("api-worker"))
    .map((line) => Number.parseInt(line, 10));
}

it("serve one port together, to the unit", async () => {
  expect(await pids()).toHaveLength(WORKERS);
  await ask("/v1/usage/caps/log_events", { method: "PUT", json: { period: "day", capValue: 100 } });
  const answers = await Promise.all(
    Array.from({ length: 300 }, async () => ((await (await check()).json()) as { allowed: boolean }).allowed),
  );
  expect(answers.filter(Boolean)).toHaveLength(100);
});

it("know which accounts are hot: what they are asked is decided in all of their slots", async () => {
  expect((await ask("/v1/accounts/acct_hot", { method: "PUT", json: { plan: "pro" } })).status).toBe(201);
  const json = { account: "acct_hot", usage: { log_events: 1 } };
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask("/v1/check", { method: "POST", json })));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  const redis = new Redis(stack.redisServer, { protocol: 2 });
  const states = await redis.keys("*:s:acct_hot*").finally(() => redis.disconnect());
  expect(states).toHaveLength(4);
});

it("hand State on to the process that holds it: calls, errors, and a room's socket", async () => {
  const namespaces = "/v1/services/service_1/state/namespaces";
  expect((await ask(namespaces, { method: "POST", json: { name: "Room" } })).status).toBe(201);
  const value = `${namespaces}/Room/objects/room-1/values/greeting`;
  expect((await ask(value, { method: "PUT", json: { value: "hello" } })).status).toBeLessThan(300);
  expect(await (await ask(value)).json()).toMatchObject({ valueText: "hello" });
  const missing = await ask(`${namespaces}/None/objects/room-1/values/greeting`);
  expect([missing.status, missing.headers.get("content-type")]).toEqual([404, expect.stringContaining("application/problem+json")]);
  expect((await fetch(url + value)).status).toBe(401);
  const socket = new WebSocket(`${url.replace("http", "ws")}${namespaces}/Room/objects/room-1/socket`, {
    headers: { authorization: `Bearer ${KEY}`, "weir-account": "acct_demo" },
  });
  await once(socket, "open");
  socket.close();
  await once(socket, "close");
  const document = (await (await ask("/openapi.json")).json()) as { paths: Record<string, unknown> };
  expect(Object.keys(document.paths)).toContain("/v1/check");
  expect(Object.keys(document.paths).some((path) => path.startsWith("/v1/services/"))).toBe(true);
});

it("are replaced when they are killed; nobody who asks meanwhile waits for the dead", async () => {
  const [first = 0] = await pids();
  process.kill(first, "SIGKILL");
  await expect.poll(async () => (await pids()).filter((pid) => pid !== first)).toHaveLength(WORKERS);
  expect(said.some((line) => line.includes(`pid ${first}`))).toBe(true);
  for (let i = 0; i < 10; i++) expect((await check(0)).status).toBe(200);
});

it("are renewed one after the other on SIGUSR2: no request fails, and what was allowed is counted", async () => {
  await ask("/v1/usage/caps/log_events/day", { method: "DELETE" });
  const used = async (): Promise<number> => {
    const usage = (await (await ask("/v1/usage")).json()) as { usage: { meters: { month: Record<string, number> } } };
    return usage.usage.meters.month["log_events"] ?? 0;
  };
  const [before, old] = [await used(), await pids()];
  let [allowed, isOver] = [0, false];
  const callers = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      const answer = await check();
      expect(answer.status).toBe(200);
      if (((await answer.json()) as { allowed: boolean }).allowed) allowed += 1;
    }
  });
  program?.kill("SIGUSR2");
  const renewed = async (): Promise<void> => {
    await expect.poll(async () => (await pids()).filter((pid) => !old.includes(pid)).length, { timeout: 60_000 }).toBe(WORKERS);
  };
  // A caller that fails says so at once.
  await Promise.race([renewed(), Promise.all(callers)]);
  await expect.poll(pids, { timeout: 60_000 }).toHaveLength(WORKERS);
  isOver = true;
  await Promise.all(callers);
  expect(allowed).toBeGreaterThan(0);
  expect(await used()).toBe(before + allowed);
});

it("may be joined by processes that only run jobs, and end in good order", async () => {
  const { child } = await started(["worker", "--concurrency", "2"], /worker is ready/);
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});

it("end with the one that started them, each with what it has begun", async () => {
  await ask("/v1/usage/caps/log_events/day", { method: "DELETE" });
  const before = await pids();
  const asked = Array.from({ length: 20 }, () => check());
  await Promise.all(asked);
  const ended = once(program ?? new EventEmitter(), "exit");
  program?.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  expect(before.filter(isAlive)).toEqual([]);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
