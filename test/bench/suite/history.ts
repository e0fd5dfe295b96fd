import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { sql } from "kysely";
import { buildApp } from "../../../src/http/app.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { DAY_MS, HOUR_MS, iso } from "../../../src/kernel/window.ts";
import { ensurePartitions } from "../../../src/ledger/ledger-store.ts";
import { openState } from "../../../src/state/open-state.ts";
import type { Db } from "../../../src/stores/database.ts";
import { accountNames, makeAccounts } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { atMost, figure, type Result } from "../result.ts";
import { interleave, median, p50, p99, type Subject } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "A year of hourly history of one meter over HTTP, one caller: an account with three services (26,280 booked totals) among four accounts with five meters.";

const YEAR_DAYS = 365;
const METERS = ["state_requests", "state_sqlite_rows_read", "state_sqlite_rows_written", "worker_requests", "log_events"];
const SERVICES = ["api", "chat", "game"];
const ACCOUNTS = 4;
/** A statement of Weir's may take ten seconds. */
const SEED_DAYS_AT_ONCE = 14;
const KEY = "the-benchmark-operator-key";
const TARGET_MS = 50;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const end = Math.floor(systemClock.now() / HOUR_MS) * HOUR_MS;
  await seed(engine.db, end);
  // As the job of that name does each hour.
  await engine.upkeep.indexClosedMonths();
  const state = await openState(engine, join(bench.dataDir, "state"), (error) => bench.say(String(error)));
  bench.closers.push(() => state.close());
  const app = await buildApp({ engine, state, adminKey: KEY, redisDurable: null, runJobs: async () => {} });
  bench.closers.push(() => app.close());
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const path = `/v1/usage/history?meter=state_requests&granularity=hour&from=${iso(end - YEAR_DAYS * DAY_MS)}&to=${iso(end)}`;
  const asked = [
    ["plain", path],
    ["by_service", `${path}&groupBy=service`],
    ["by_service_as_csv", `${path}&groupBy=service&format=csv`],
  ] as const;
  const { rounds, stretchMs } = bench.profile;
  const subjects = asked.map(([name, url]): Subject => ({ name, run: () => closedLoop(1, stretchMs, () => get(port, url)) }));
  const measured = await interleave(subjects, rounds);
  return asked.flatMap(([name]) => {
    const samples = measured.get(name) ?? [];
    return [
      figure(`history.year_by_hour.${name}.p50`, "ms", { value: median(samples.map(p50)) }, atMost(TARGET_MS, "value")),
      figure(`history.year_by_hour.${name}.p99`, "ms", { value: median(samples.map(p99)) }),
    ];
  });
}

/** A total for every hour, meter and service of the year before `end`. */
async function seed(db: Db, end: number): Promise<void> {
  await makeAccounts(db, accountNames(ACCOUNTS), end);
  const first = end - YEAR_DAYS * DAY_MS;
  await ensurePartitions(
    db,
    Array.from({ length: YEAR_DAYS }, (_, day) => first + day * DAY_MS),
  );
  for (let from = first; from < end; from += SEED_DAYS_AT_ONCE * DAY_MS) {
    const until = Math.min(from + SEED_DAYS_AT_ONCE * DAY_MS, end) - HOUR_MS;
    await sql`
      insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
      select a, hour, meter, service, 'Room', 1, 'seed', 1 + abs(hashtext(a || hour || meter || service)) % 1000000
      from generate_series(${iso(from)}::timestamptz, ${iso(until)}::timestamptz, interval '1 hour') hour,
           unnest(${accountNames(ACCOUNTS)}::text[]) a, unnest(${METERS}::text[]) meter, unnest(${SERVICES}::text[]) service`.execute(db);
  }
  await sql`vacuum analyze usage_buckets`.execute(db);
}

/** Reads an answer to its end, and keeps nothing of it. */
function get(port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, headers: { authorization: `Bearer ${KEY}`, "weir-account": "acct_2" } }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`answered ${response.statusCode}`));
      response.on("end", resolve).on("error", reject).resume();
    });
    sent.on("error", reject).end();
  });
}
