import { execFile } from "node:child_process";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

/** The command line as it is run, against an endpoint that answers what the contract says. */

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

interface Seen {
  method: string;
  url: string;
  account: string | undefined;
  authorization: string | undefined;
  body: unknown;
}

let server: Server;
let url = "";
let answer: { status: number; body: string } = { status: 200, body: "{}" };
let seen: Seen[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    void read(request).then((body) => {
      const header = request.headers["weir-account"];
      const account = Array.isArray(header) ? header[0] : header;
      seen.push({
        method: request.method ?? "",
        url: request.url ?? "",
        account,
        authorization: request.headers.authorization,
        body: body ? JSON.parse(body) : null,
      });
      response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));
beforeEach(() => {
  seen = [];
});

async function read(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

function weir(args: string[], options: { env?: Record<string, string>; input?: string } = {}): Promise<Ran> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    WEIR_DATA_DIR: "/nonexistent",
    WEIR_URL: url,
    WEIR_KEY: "k",
    WEIR_ACCOUNT: "acct_1",
    ...options.env,
  };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, ["src/cli/main.ts", ...args], { env, timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
    child.stdin?.end(options.input ?? "");
  });
}

const answers = (status: number, body: unknown): void => {
  answer = { status, body: typeof body === "string" ? body : JSON.stringify(body) };
};

const DENIAL = {
  code: "limit_exceeded",
  meter: "state_sqlite_rows_written",
  scope: "account",
  source: "plan",
  period: "day",
  limit: 100_000,
  used: 100_000,
  reserved: 0,
  requested: 1,
  resetsAt: "2026-11-22T00:00:00.000Z",
  retryable: true,
  message: "The day's rows are used up.",
  remedy: "Upgrade to Pro, or wait until the day ends.",
};

describe("a command line that is wrong ends with 2 and says what was meant", () => {
  test.each([
    [["usgae"], "Did you mean usage?"],
    [["usage", "--jsno"], "Did you mean --json?"],
    [["limits", "set", "m", "--perod", "day", "--value", "5"], "Did you mean --period?"],
    [["state", "putt", "Room"], "Did you mean put?"],
    [["state", "list"], "required option '--service <service>'"],
    [["limits", "set", "state_requests", "--period", "year", "--value", "1"], "Allowed choices are day, month"],
    [["limits", "set", "state_requests", "--period", "day", "--value", "1e3"], "whole number from 0 to 9007199254740991"],
    [["limits", "set", "state_requests", "--period", "day", "--value", "9007199254740993"], "whole number"],
    [["limits", "set", "state_requests", "--period", "day", "--value", "1", "--notify-at-percent", "0"], "whole number from 1 to 100"],
    [["usage", "extra"], "too many arguments"],
    [["state", "put", "--service", "s", "Room", "r", "k"], "The value is missing"],
    [["check"], "Say what to check"],
    [["replay", "/no/such/trace"], "cannot be opened"],
    [["usage", "--url", "ftp://x"], "not an http(s) address"],
  ])("weir %j", async (args, expected) => {
    const { code, stdout, stderr } = await weir(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(expected);
    expect(seen).toEqual([]);
  });

  test("with --json the problem stands on stdout as well", async () => {
    const { code, stdout } = await weir(["usage", "--nope", "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ code: "bad_request", status: 400 });
  });
});

describe("help", () => {
  test.each([[[]], [["--help"]], [["help"]], [["state", "--help"]], [["help", "state", "put"]]])("weir %j", async (args) => {
    const { code, stdout, stderr } = await weir(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Usage: weir");
  });
});

describe("what is sent", () => {
  test("the account goes in its header, the key as a bearer", async () => {
    answers(200, {});
    await weir(["usage", "--json"]);
    expect(seen).toEqual([{ method: "GET", url: "/v1/usage", account: "acct_1", authorization: "Bearer k", body: null }]);
  });

  test("options before the subcommand count as well", async () => {
    answers(200, { caps: [] });
    await weir(["--account", "acct_2", "limits", "list", "--json"]);
    expect(seen[0]).toMatchObject({ url: "/v1/usage/caps", account: "acct_2" });
  });

  test("limits set", async () => {
    answers(200, {});
    await weir([
      "limits",
      "set",
      "state_requests",
      "--period",
      "month",
      "--value",
      "1000000",
      "--notify-at-percent",
      "75",
      "--soft",
      "--json",
    ]);
    expect(seen[0]).toMatchObject({
      method: "PUT",
      url: "/v1/usage/caps/state_requests",
      body: { period: "month", capValue: 1_000_000, hardStop: false, notifyAtPercent: 75 },
    });
  });

  test.each<[string, string[], string | undefined, unknown]>([
    ["a word", ["1"], undefined, { value: "1", encoding: "text" }],
    ["an empty word", [""], undefined, { value: "", encoding: "text" }],
    ["a negative number", ["-5"], undefined, { value: "-5", encoding: "text" }],
    ["base64", ["--base64", "AP8="], undefined, { value: "AP8=", encoding: "base64" }],
    ["a leading @", ["@@home"], undefined, { value: "@home", encoding: "text" }],
    ["stdin", ["--file", "-"], "héllo\n", { value: "héllo\n", encoding: "text" }],
    ["control characters", ["--file", "-"], "\0\0\u0001", { value: "AAAB", encoding: "base64" }],
  ])("state put: %s", async (_what, args, input, body) => {
    answers(200, { namespace: "Room", object: "r", entry: { key: "k", valueSizeBytes: 1, createdAt: "", updatedAt: "" } });
    const { code } = await weir(["state", "put", "--service", "s", "Room", "room 1", "a/b", ...args], input === undefined ? {} : { input });
    expect(code).toBe(0);
    expect(seen[0]).toMatchObject({ method: "PUT", url: "/v1/services/s/state/namespaces/Room/objects/room%201/values/a%2Fb", body });
  });
});

describe("what comes back", () => {
  test("--json is the API's JSON", async () => {
    answers(200, { anything: [1, { a: null }] });
    const { stdout, stderr, code } = await weir(["usage", "--json"]);
    expect(JSON.parse(stdout)).toEqual({ anything: [1, { a: null }] });
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  });

  test("a value that is text ends with a line break, bytes come as they are", async () => {
    const entry = { key: "k", valueSizeBytes: 2, createdAt: "", updatedAt: "" };
    answers(200, { namespace: "Room", object: "r", entry, valueText: "hi", valueBase64: "aGk=" });
    expect((await weir(["state", "get", "--service", "s", "Room", "r", "k"])).stdout).toBe("hi\n");
    expect((await weir(["state", "get", "--service", "s", "Room", "r", "k", "--raw"])).stdout).toBe("hi");
    expect((await weir(["state", "get", "--service", "s", "Room", "r", "k", "--base64"])).stdout).toBe("aGk=\n");
  });

  test("a denied write ends with 3 and names each limit and its remedy", async () => {
    answers(429, { code: "limit_exceeded", status: 429, message: "Denied.", denials: [DENIAL, { ...DENIAL, meter: "state_requests" }] });
    const { code, stdout, stderr } = await weir(["state", "put", "--service", "s", "Room", "r", "k", "v"]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toContain(
      "state_sqlite_rows_written (plan, account, day): 100,000 of 100,000 used, 1 requested; resets 2026-11-22T00:00:00.000Z",
    );
    expect(stderr).toContain("state_requests (plan");
    expect(stderr).toContain("Upgrade to Pro, or wait until the day ends.");
  });

  test("with --json a denial is the problem document on stdout", async () => {
    const problem = { code: "limit_exceeded", status: 429, message: "Denied.", denials: [DENIAL] };
    answers(429, problem);
    const { code, stdout } = await weir(["state", "put", "--service", "s", "Room", "r", "k", "v", "--json"]);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toEqual(problem);
  });

  test("a denied check ends with 3, though its answer is a 200", async () => {
    answers(200, { allowed: false, decisionId: "d", denials: [DENIAL], meters: {} });
    const { code, stdout } = await weir(["check", "put", "--object", "r", "--usage", "state_requests=2", "--usage", "log_events=1"]);
    expect(code).toBe(3);
    expect(stdout).toContain("denied");
    expect(seen[0]?.body).toEqual({ account: "acct_1", object: "r", operation: "put", usage: { state_requests: 2, log_events: 1 } });
  });

  test.each([
    [401, "unauthorized", "--key"],
    [404, "not_found", ""],
    [503, "unavailable", "weir doctor"],
  ])("a %d ends with 1 and says what to do", async (status, code, remedy) => {
    answers(status, { code, status, message: "It is like this." });
    const ran = await weir(["usage"]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("error: It is like this.");
    expect(ran.stderr).toContain(remedy);
  });

  test("what the API calls a header is an option here", async () => {
    answers(400, { code: "bad_request", status: 400, message: "This key belongs to no account: name one in the header Weir-Account." });
    expect((await weir(["usage"])).stderr).toContain("--account <account>");
  });

  test.each([
    [{ ok: true, note: "keeps nothing on disk" }, "apt-get install redis-server"],
    [{ ok: false, note: "Redis cannot be reached" }, "REDIS_URL"],
  ])("the doctor says what to type for a store of which /ready says %o", async (redis, remedy) => {
    answers(200, { ok: true, redis });
    expect((await weir(["doctor"])).stdout).toMatch(new RegExp(`→ redis: .*${remedy}`));
  });

  test("what is not Weir is not taken for it", async () => {
    answers(200, "<html>");
    const { code, stderr } = await weir(["usage"]);
    expect(code).toBe(1);
    expect(stderr).toContain("is not JSON");
  });

  test("nobody there: exit 1, and how to start it", async () => {
    const { code, stdout, stderr } = await weir(["usage", "--json"], { env: { WEIR_URL: "http://127.0.0.1:1" } });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ code: "unavailable", status: 503 });
    expect(stderr).toContain("npm start");
  });

  test("a pipe gets no escape sequence", async () => {
    answers(200, {
      caps: [
        {
          meter: "state_requests",
          period: "day",
          capValue: 10,
          hardStop: true,
          notifyAtPercent: 80,
          used: 10,
          reserved: 0,
          remaining: 0,
          percent: 100,
          state: "exceeded",
          resetsAt: null,
        },
      ],
    });
    const { stdout } = await weir(["limits", "list"]);
    expect(stdout).toContain("state_requests");
    expect(stdout).not.toContain("\u001b");
  });
});
