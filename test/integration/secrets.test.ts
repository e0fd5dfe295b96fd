import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { request, type IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestStack, type TestStack } from "../support/stack.ts";
import { ROOT } from "../support/tools.ts";

/** Found in nothing but itself. */
const secret = (): string => `s3cret${randomBytes(12).toString("hex")}`;
const ADMIN_KEY = secret();
/** A port on which nobody listens: what is sent there fails, and failures are what logs are full of. */
const NOBODY = "http://127.0.0.1:1";

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

let stack: TestStack;
let program: ChildProcess;
let url: string;
const said: string[] = [];
/** By what each is. */
const secrets = new Map<string, string>([["the operator's key", ADMIN_KEY]]);
const keep = (what: string, value = secret()): string => {
  secrets.set(what, value);
  return value;
};

beforeAll(async () => {
  stack = await createTestStack();
  keep("the database's password", decodeURIComponent(new URL(stack.databaseUrl).password));
  program = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), "serve"], {
    env: {
      ...process.env,
      DATABASE_URL: stack.databaseUrl,
      REDIS_URL: stack.redisServer,
      WEIR_ADMIN_KEY: ADMIN_KEY,
      WEIR_DATA_DIR: join(stack.dataDir, "weir"),
      WEIR_WEBHOOK_ALLOW_PRIVATE: "1",
      PORT: "0",
      // All that it would ever say.
      LOG_LEVEL: "trace",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (!program.stdout || !program.stderr) throw new Error("no output");
  createInterface(program.stderr).on("line", (line) => said.push(line));
  await new Promise<void>((resolve, reject) => {
    createInterface(program.stdout as NodeJS.ReadableStream).on("line", (line) => {
      said.push(line);
      url = /ready at (\S+)/.exec(line)?.[1] ?? url;
      resolve();
    });
    program.once("exit", () => reject(new Error(said.join("\n"))));
  });
});
afterAll(async () => {
  program.kill("SIGKILL");
  await stack.stop();
});

function ask(
  method: string,
  path: string,
  { body, key = ADMIN_KEY, raw }: { body?: unknown; key?: string; raw?: string } = {},
): Promise<Answer> {
  const text = raw ?? (body === undefined ? "" : JSON.stringify(body));
  const headers = {
    authorization: `Bearer ${key}`,
    ...(key === ADMIN_KEY ? { "weir-account": "acct_1" } : {}),
    ...(text === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    // What a page sends with a call that changes something.
    "weir-dashboard": "1",
  };
  return new Promise((resolve, reject) => {
    const call = request(url + path, { method, headers }, (response) => {
      let received = "";
      response.on("data", (chunk: Buffer) => (received += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: received }));
    });
    call.on("error", reject);
    call.end(text);
  });
}

async function made(method: string, path: string, body?: unknown, key?: string): Promise<Record<string, unknown>> {
  const { status, text } = await ask(method, path, { body, ...(key === undefined ? {} : { key }) });
  expect([path, status < 300 ? "" : text]).toEqual([path, ""]);
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

const ROOM = "/v1/services/s/state/namespaces/Room/objects/room-1";

/** What people do with a Weir, with a secret wherever one can be. */
async function session(): Promise<void> {
  await made("PUT", "/v1/accounts/acct_1", { plan: "pro", name: keep("an account's name"), email: `${keep("an address")}@example.com` });
  const account = await made("POST", "/v1/accounts/acct_1/keys", { scope: "account", name: "own" });
  const key = keep("an account's key", String(account["key"]));
  const dataPlane = await made("POST", "/v1/keys", { scope: "data_plane" });
  keep("a data plane's key", String(dataPlane["key"]));
  const rotated = await made("POST", `/v1/keys/${String(dataPlane["id"])}/rotate`, {});
  keep("a rotated key", String(rotated["key"]));

  await made("POST", "/v1/services/s/state/namespaces", { name: "Room" }, key);
  await made("PUT", `${ROOM}/values/k`, { value: keep("a value"), encoding: "text" }, key);
  const bytes = Buffer.from(secret()).toString("base64");
  await made("PUT", `${ROOM}/values/b`, { value: keep("a value in base64", bytes), encoding: "base64" }, key);
  await made("GET", `${ROOM}/values/k`, undefined, key);
  await made("PUT", "/v1/services/s", { workerUrl: `${NOBODY}/${keep("a worker's address")}` }, key);
  await made("PUT", `${ROOM}/alarm`, { delaySeconds: 0 }, key);

  const hook = await made("POST", "/v1/webhooks", { url: `${NOBODY}/?token=${keep("a token in a webhook's address")}` }, key);
  keep("a webhook's secret", String(hook["secret"]));
  const next = await made("POST", `/v1/webhooks/${String(hook["id"])}/rotate`, {}, key);
  keep("a webhook's next secret", String(next["secret"]));
  const { id } = await made("POST", `/v1/webhooks/${String(hook["id"])}/test`, undefined, key);
  const delivery = `/v1/webhooks/${String(hook["id"])}/deliveries/${String(id)}`;
  // Tried, and failed.
  await expect.poll(async () => (await made("GET", delivery, undefined, key))["attempts"], { timeout: 30_000 }).not.toEqual([]);

  const login = await ask("POST", "/v1/session", { body: { key } });
  expect(login.status).toBeLessThan(300);
  keep("a session's cookie", /=([^;]+)/.exec(String(login.headers["set-cookie"]))?.[1]);
}

/** What goes wrong, with a secret in it. */
async function mishaps(): Promise<void> {
  const refused = [
    ask("GET", "/v1/usage", { key: keep("a wrong key") }),
    ask("GET", "/v1/usage", {
      key: keep("a wrong key of the right shape", `weir_account_${"x".repeat(20)}_${randomBytes(15).toString("hex")}`),
    }),
    ask("POST", "/v1/session", { body: { key: keep("a wrong key at the door") } }),
    ask("POST", "/v1/check", { raw: `{"account":"acct_1","operation":${keep("a body that cannot be read")}` }),
    ask("POST", "/v1/check", { body: { account: "acct_1", [keep("a member's name")]: 1 } }),
    ask("PUT", `${ROOM}/values/k`, { body: { value: keep("a value that is refused"), encoding: "none" } }),
    ask("PUT", `${ROOM}/values/k`, { body: { value: `${keep("a value that is too large")}${"x".repeat(3_000_000)}`, encoding: "text" } }),
    ask("POST", "/v1/webhooks", { body: { url: `ftp://user:${keep("a password in an address")}@example.com/` } }),
  ];
  for (const { status } of await Promise.all(refused)) expect([400, 401, 413]).toContain(status);
}

it("no key, secret, password, value or text of people is in what a process says, nor in the audit log", async () => {
  await session();
  await mishaps();
  const sql = postgres(stack.databaseUrl, { max: 1 });
  const audit = JSON.stringify(await sql`select * from audit_log`);
  await sql.end();
  const told = (await ask("GET", "/v1/audit?limit=1000")).text;
  program.kill("SIGTERM");
  await new Promise((resolve) => program.once("exit", resolve));
  // It did speak, and of this.
  expect(said.length).toBeGreaterThan(30);
  expect(told).toContain("webhooks");
  expect(said.join()).toContain(`${ROOM}/values/k`);
  const all = [said.join("\n"), audit, told].join("\n");
  expect([...secrets].filter(([, value]) => value.length < 8)).toEqual([]);
  expect([...secrets].filter(([, value]) => all.includes(value)).map(([what, value]) => [what, lineWith(value)])).toEqual([]);
});

const lineWith = (value: string): string => said.find((line) => line.includes(value))?.slice(0, 400) ?? "the audit log";
