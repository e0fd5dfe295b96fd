import { systemClock } from "../../../src/kernel/clock.ts";
import { HOUR_MS } from "../../../src/kernel/window.ts";
import { accountNames, makeAccounts } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { bookYear, SERVICES, settleTables, yearByHour } from "../hours.ts";
import { get, serve } from "../http/serve.ts";
import { atMost, figure, type Result } from "../result.ts";
import { interleave, median, p50, p99, type Subject } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "A year of hourly history of one meter over HTTP, one caller: an account with three services (26,280 booked totals) among four accounts with five meters.";

const METERS = ["state_requests", "state_sqlite_rows_read", "state_sqlite_rows_written", "worker_requests", "log_events"];
const ACCOUNTS = 4;
const TARGET_MS = 50;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const end = Math.floor(systemClock.now() / HOUR_MS) * HOUR_MS;
  const accounts = accountNames(ACCOUNTS);
  await makeAccounts(engine.db, accounts, end);
  await bookYear(engine.db, { accounts, meters: METERS, services: SERVICES, everyHours: 1, end });
  await settleTables(bench.databaseUrl);
  // As the job of that name does each hour.
  await engine.upkeep.indexClosedMonths();
  const { port } = await serve(bench, engine);
  const path = yearByHour("state_requests", end);
  const asked = [
    ["plain", path],
    ["by_service", `${path}&groupBy=service`],
    ["by_service_as_csv", `${path}&groupBy=service&format=csv`],
  ] as const;
  const { rounds, stretchMs } = bench.profile;
  const subjects = asked.map(([name, url]): Subject => ({ name, run: () => closedLoop(1, stretchMs, () => get(port, url, "acct_2")) }));
  const measured = await interleave(subjects, rounds);
  return asked.flatMap(([name]) => {
    const samples = measured.get(name) ?? [];
    return [
      figure(`history.year_by_hour.${name}.p50`, "ms", { value: median(samples.map(p50)) }, atMost(TARGET_MS, "value")),
      figure(`history.year_by_hour.${name}.p99`, "ms", { value: median(samples.map(p99)) }),
    ];
  });
}
