import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../../support/tools.ts";
import { startWeir, type RunningWeir } from "./weir.ts";

const ACCOUNT = "acct_demo";

let weir: RunningWeir;
let redis: Redis;
let sql: postgres.Sql;

beforeAll(async () => {
  weir = await startWeir({}, ["--no-jobs"]);
  redis = new Redis(weir.env.REDIS_URL, { protocol: 2 });
  sql = postgres(weir.env.DATABASE_URL, { max: 1 });
});
afterAll(async () => {
  redis.disconnect();
  await sql.end();
  await weir.stop();
});

const queues = async (): Promise<string[]> => {
  const keys = await redis.keys("{weir}:*");
  return [...new Set(keys.map((key) => key.split(":")[1] ?? ""))].toSorted();
};

test("serve --no-jobs answers, and rings for State's own jobs alone; a worker rings for the others and books what was used", async () => {
  const check = { account: ACCOUNT, usage: { state_requests: 3 } };
  expect(await weir.api("POST", "/v1/check", ACCOUNT, check)).toMatchObject({ allowed: true });
  expect(await queues()).toEqual(["jobs-state"]);

  const program = [join(ROOT, "src/cli/main.ts"), "worker"];
  const worker = spawn(process.execPath, program, { env: { PATH: process.env["PATH"], ...weir.env }, stdio: "ignore" });
  try {
    const booked = async (): Promise<number> => {
      const [row] = await sql<{ quantity: number }[]>`
        select coalesce(sum(quantity), 0)::int as quantity from usage_buckets where account = ${ACCOUNT} and meter = 'state_requests'`;
      return row?.quantity ?? 0;
    };
    await expect.poll(booked).toBe(3);
    expect(await queues()).toEqual(["jobs", "jobs-state"]);
  } finally {
    const ended = once(worker, "exit");
    worker.kill("SIGTERM");
    await ended;
  }
});

test("serve --no-jobs is refused on stores of Weir's own, which no worker could reach", async () => {
  const { code, stderr } = await weir.weir(["serve", "--no-jobs"]);
  expect(code).toBe(2);
  expect(stderr).toContain("set DATABASE_URL and REDIS_URL");
});
