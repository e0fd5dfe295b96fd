import { closeOnce, type Closed } from "../../billing/killed-runs.ts";
import { applyCatalog } from "../../../src/catalog/catalog-store.ts";
import { defaultCatalog } from "../../../src/catalog/parse.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { DAY_MS, HOUR_MS, monthWindow, type Window } from "../../../src/kernel/window.ts";
import { indexClosedMonths } from "../../../src/ledger/closed-months.ts";
import { seededRandom } from "../../../src/replay/random.ts";
import { openPostgres } from "../../../src/stores/database.ts";
import { accountNames, makeAccounts, openMonth } from "../accounts.ts";
import type { Addresses, Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { CLOSED_AT_ONCE, closingFigures, type ClosedMonth } from "../closing.ts";
import { bookYear, SERVICES, settleTables, yearByHour, YEAR_MS } from "../hours.ts";
import { get, serve } from "../http/serve.ts";
import { atMost, figure, type Result } from "../result.ts";
import { interleave, median, p50, p99 } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "A ledger with a year of many accounts: one in a hundred has a total for every hour of one meter and three services (26,280), each other one 48 totals, four a month. The year by hour over HTTP, one caller, of a random one of the former; and the last month closed for all, time an account beside that among a tenth of the accounts (linear is 1). The months before count as closed without an invoice.";
export const needsSecond = true;

const METER = "state_requests";
const ONE_IN = 100;
/** Four hours in each month. */
const OTHERS_EVERY_HOURS = 183;
const HISTORY_MS = 50;
const CALENDAR = { timezone: "UTC", anchorDay: 1 };

export async function run(bench: Bench): Promise<Result[]> {
  const { accounts } = bench.profile.year;
  if (!bench.second) throw new Error("The tenth of the accounts needs a database of its own.");
  const end = Math.floor(systemClock.now() / HOUR_MS) * HOUR_MS;
  const month = monthWindow(monthWindow(end, CALENDAR).start - 1, CALENDAR);
  await fill(bench.second, accounts / 10, end, month);
  await fill(bench, accounts, end, month);
  const history = await readHistory(bench, accounts, end);
  const [few, many] = [await close(bench.second, accounts / 10, month), await close(bench, accounts, month)];
  return [...history, ...closingFigures("year", [few, many])];
}

const isHourly = (_: string, i: number): boolean => i % ONE_IN === 0;

/** A year of so many accounts, in partitions that are looked after as `npm start` does. */
async function fill({ databaseUrl }: Addresses, count: number, end: number, month: Window): Promise<void> {
  const postgres = openPostgres(databaseUrl, { poolSize: 1 });
  const { db } = postgres;
  const names = accountNames(count);
  const begin = end - YEAR_MS;
  await applyCatalog(db, defaultCatalog(), begin - 1);
  await makeAccounts(db, names, begin, "pro");
  const hourly = names.filter(isHourly);
  await bookYear(db, { accounts: hourly, meters: [METER], services: SERVICES, everyHours: 1, end });
  const others = names.filter((name, i) => !isHourly(name, i));
  await bookYear(db, { accounts: others, meters: [METER], services: ["api"], everyHours: OTHERS_EVERY_HOURS, end });
  // The one to be closed next.
  await openMonth(db, names, month, month.start);
  await postgres.close();
  await settleTables(databaseUrl);
  // As the job of that name does each hour.
  await indexClosedMonths(databaseUrl, systemClock.now());
}

async function readHistory(bench: Bench, accounts: number, end: number): Promise<Result[]> {
  const engine = await openEngine(bench);
  const { port } = await serve(bench, engine);
  const hourly = accountNames(accounts).filter(isHourly);
  const random = seededRandom(1);
  const asked = [
    ["plain", yearByHour(METER, end)],
    ["by_service", `${yearByHour(METER, end)}&groupBy=service`],
  ] as const;
  const { rounds, stretchMs } = bench.profile;
  const one = (): string => hourly[Math.floor(random() * hourly.length)] ?? "";
  const subjects = asked.map(([name, path]) => ({ name, run: () => closedLoop(1, stretchMs, () => get(port, path, one())) }));
  const measured = await interleave(subjects, rounds);
  return asked.flatMap(([name]) => {
    const samples = measured.get(name) ?? [];
    return [
      figure(`year.history_by_hour.${name}.p50`, "ms", { value: median(samples.map(p50)) }, atMost(HISTORY_MS, "value")),
      figure(`year.history_by_hour.${name}.p99`, "ms", { value: median(samples.map(p99)) }),
    ];
  });
}

/** Closes `month` for all accounts, in a process of its own, when its grace is over. */
async function close({ databaseUrl }: Addresses, accounts: number, month: Window): Promise<ClosedMonth> {
  // The ledger goes on until now: what is booked later than the closing's own now would not be believed.
  const now = Math.max(systemClock.now(), month.end + 2 * DAY_MS);
  const closed: Closed = await closeOnce({ databaseUrl, now, atOnce: CLOSED_AT_ONCE });
  // An invoice that is not made takes no time: what was closed is all, or no figure.
  if (closed.finalized !== accounts) throw new Error(`of ${accounts} accounts this was closed: ${JSON.stringify(closed)}`);
  return { ...closed, accounts };
}
