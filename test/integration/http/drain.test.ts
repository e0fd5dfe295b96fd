import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { ROOT } from "../../support/tools.ts";

const KEY = "the-operators-key-of-one-that-stops";
const CLIENTS = 8;
/** Nothing kills it sooner, so that what is seen is how it ends by itself. */
const ENDS_WITHIN_MS = 30_000;

let stack: TestStack;
let program: ChildProcess;
let port: number;

beforeAll(async () => {
  stack = await createTestStack();
  program = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), "serve"], {
    env: {
      ...process.env,
      DATABASE_URL: stack.databaseUrl,
      REDIS_URL: stack.redisServer,
      WEIR_ADMIN_KEY: KEY,
      WEIR_DATA_DIR: join(stack.dataDir, "weir"),
      PORT: "0",
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [line] = (await once(createInterface(program.stdout ?? process.stdin), "line")) as [string];
  port = Number(line.split(":").at(-1));
});
afterAll(async () => {
  program.kill("SIGKILL");
  await stack.stop();
});

interface Answer {
  status: number;
  connection: string;
}

const BODY = JSON.stringify({ account: "acct_demo", usage: { log_events: 1 } });

function check(agent: Agent): Promise<Answer> {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json", "content-length": BODY.length };
  return new Promise((resolve, reject) => {
    const sent = request({ agent, port, host: "127.0.0.1", method: "POST", path: "/v1/check", headers }, (response) => {
      response.resume().on("end", () => resolve({ status: response.statusCode ?? 0, connection: response.headers.connection ?? "" }));
    });
    sent.on("error", reject).end(BODY);
  });
}

const oneConnection = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 });

/** Sends on one connection, the next when the last is answered, until it is told to go elsewhere. */
async function client(): Promise<Answer[]> {
  const agent = oneConnection();
  const answers: Answer[] = [];
  do answers.push(await check(agent));
  while (answers.at(-1)?.connection !== "close");
  agent.destroy();
  return answers;
}

it(
  "one process that is told to stop fails no request: what comes on open connections is served, and sent elsewhere for its next",
  async () => {
    const ended = once(program, "exit");
    // To the server this connection seems idle when it stops; its next request is on the way.
    const idle = oneConnection();
    expect(await check(idle)).toEqual({ status: 200, connection: "keep-alive" });
    const clients = Array.from({ length: CLIENTS }, client);
    await check(oneConnection());
    program.kill("SIGTERM");
    const answers = (await Promise.all(clients)).flat();
    expect(await check(idle)).toEqual({ status: 200, connection: "close" });
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(await ended).toEqual([0, null]);
    await expect(check(oneConnection())).rejects.toThrow("ECONNREFUSED");
  },
  ENDS_WITHIN_MS,
);
