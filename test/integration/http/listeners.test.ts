import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { get as getPlain, type IncomingHttpHeaders } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selfSigned } from "../../support/self-signed.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { ROOT } from "../../support/tools.ts";

const KEY = "the-operators-key-of-listeners";
const { cert, key } = selfSigned("weir");

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** In one process, and where workers serve and another process holds State. */
describe.each([[1], [2]])("over TLS, with a listener of the operator's own, in %i processes", (workers) => {
  let stack: TestStack;
  let program: ChildProcess;
  let url: string;
  let adminUrl: string;

  beforeAll(async () => {
    stack = await createTestStack();
    const dataDir = join(stack.dataDir, "weir");
    const files = { cert: join(stack.dataDir, "cert.pem"), key: join(stack.dataDir, "key.pem") };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    program = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), "serve", "--workers", String(workers)], {
      env: {
        ...process.env,
        DATABASE_URL: stack.databaseUrl,
        REDIS_URL: stack.redisServer,
        WEIR_ADMIN_KEY: KEY,
        WEIR_DATA_DIR: dataDir,
        WEIR_TLS_CERT: files.cert,
        WEIR_TLS_KEY: files.key,
        WEIR_ADMIN_PORT: "0",
        PORT: "0",
        LOG_LEVEL: "silent",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (!program.stdout) throw new Error("no output");
    for await (const line of createInterface(program.stdout)) {
      url = /ready at (\S+)/.exec(line)?.[1] ?? "";
      if (url !== "") break;
    }
    ({ url: adminUrl } = JSON.parse(readFileSync(join(dataDir, "credentials.json"), "utf8")) as { url: string });
  });
  afterAll(async () => {
    program.kill("SIGKILL");
    await stack.stop();
  });

  const ask = (path: string, { at = url, method = "GET", bearer = KEY, body = "" } = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = {
        ...(bearer === "" ? {} : { authorization: `Bearer ${bearer}` }),
        "weir-account": "acct_demo",
        ...(body === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
      };
      const call = request(at + path, { method, headers, ca: cert, agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      });
      call.on("error", reject);
      call.end(body);
    });

  it("answers, and says that it is to be asked so only", async () => {
    expect(url).toMatch(/^https:/);
    const { status, headers } = await ask("/health");
    expect(status).toBe(200);
    expect(headers["strict-transport-security"]).toMatch(/^max-age=\d+/);
    expect((await ask("/v1/usage")).status).toBe(200);
  });

  it("serves nobody without TLS", async () => {
    await expect(
      new Promise((resolve, reject) => getPlain(url.replace("https:", "http:"), { agent: false }, resolve).on("error", reject)),
    ).rejects.toThrow(/socket hang up|ECONNRESET/);
  });

  it.each([
    ["GET", "/v1/accounts"],
    ["PUT", "/v1/accounts/acct_demo"],
    ["POST", "/v1/keys"],
    ["GET", "/v1/audit"],
    ["GET", "/v1/doctor"],
  ])("%s %s is the operator's listener's alone: elsewhere there is no such thing, with a key or without", async (method, path) => {
    for (const bearer of [KEY, "", "wrong"]) {
      const { status, text } = await ask(path, { method, bearer });
      expect([status, JSON.parse(text)]).toEqual([
        404,
        expect.objectContaining({ code: "not_found", detail: `There is no ${method} ${path}.` }),
      ]);
    }
    expect((await ask(path, { at: adminUrl, method, bearer: "" })).status).toBe(401);
    const body = method === "GET" ? "" : path.endsWith("keys") ? '{"scope":"data_plane"}' : "{}";
    expect((await ask(path, { at: adminUrl, method, body })).status).toBeLessThan(300);
  });

  it("what tenants may call too is answered by both", async () => {
    for (const at of [url, adminUrl]) {
      const check = await ask("/v1/check", { at, method: "POST", body: '{"account":"acct_demo","usage":{"log_events":1}}' });
      expect(JSON.parse(check.text)).toMatchObject({ allowed: true });
    }
    const namespaces = "/v1/services/s/state/namespaces";
    expect((await ask(namespaces, { method: "POST", body: '{"name":"Room"}' })).status).toBe(201);
    expect((await ask(namespaces, { at: adminUrl })).text).toContain("Room");
  });
});
