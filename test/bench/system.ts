import { sql } from "kysely";
import { Redis } from "ioredis";
import type { CheckRequest } from "../../src/gate/check-request.ts";
import type { Engine } from "../../src/engine.ts";
import { monotonicMs, sleep, systemClock } from "../../src/kernel/clock.ts";
import { monthWindow } from "../../src/kernel/window.ts";
import { seededRandom } from "../../src/replay/random.ts";
import { accountNames, makeAccounts, openMonth, USAGE } from "./accounts.ts";
import type { Addresses, Bench } from "./bench.ts";
import { settleTables } from "./hours.ts";
import { inAnyOrder, loaded, storing, weighed } from "./loading.ts";

/** The account that has all the objects. */
export const BIG = "big";
/** Accounts that are asked for all the time. */
const BUSY = 10;
/** As accounts have it that were told nothing. */
const CALENDAR = { timezone: "UTC", anchorDay: 1 };
/** Looks at Redis' rewriting, for ten minutes. */
const REWRITE_LOOKS_MAX = 1_200;
const REWRITE_LOOK_MS = 500;
/** As the job is rung. */
const ROLL_UP_EVERY_MS = 1_000;

/** A system all of whose accounts are loaded. */
export interface System {
  engine: Engine;
  /** A random account, not the big one. */
  account: () => string;
  /** One of ten of them: all that a system of ten has. */
  busy: () => string;
  /** The number of a random object of the big account. */
  object: () => number;
  loaded: { accountBytes: number; objectBytes: number; accountsPerSecond: number; objectsPerSecond: number };
}

export const use = (account: string): CheckRequest => ({ account, service: "api", usage: USAGE });

/** Fills a system by checks alone, rolled up meanwhile as ever, and weighs what Redis keeps of it once all is booked. */
export async function loadSystem(
  bench: Bench,
  engine: Engine,
  { databaseUrl, redisUrl }: Addresses,
  { accounts, objects }: { accounts: number; objects: number },
): Promise<System> {
  const names = accountNames(accounts);
  const from = monotonicMs();
  const now = systemClock.now();
  await makeAccounts(engine.db, names, now);
  await openMonth(engine.db, names, monthWindow(now, CALENDAR), now);
  await makeAccounts(engine.db, [BIG], now, "pro");
  await sql`analyze accounts, subscriptions`.execute(engine.db);
  bench.say(`${accounts} accounts made in ${seconds(from)} s`);
  const client = new Redis(redisUrl);
  bench.closers.push(() => client.disconnect());
  const load = async (what: string, count: number, step: (i: number) => Promise<unknown>) => {
    const begun = monotonicMs();
    const bytes = await weighed(client, count, () => rolledUpMeanwhile(engine, inAnyOrder({ to: count }, step)));
    bench.say(`${count} ${what} loaded and booked in ${seconds(begun)} s`);
    return { bytes, perSecond: (count * 1_000) / (monotonicMs() - begun) };
  };
  const ofAccounts = await load("accounts", accounts, (i) => loaded(engine, use(names[i] ?? "")));
  const ofObjects = await load("objects", objects, (i) => loaded(engine, storing(BIG, i, 1_000)));
  await settleTables(databaseUrl);
  await rewritten(client);
  const random = seededRandom(1);
  return {
    engine,
    account: () => names[Math.floor(random() * accounts)] ?? "",
    busy: () => names[Math.floor((Math.floor(random() * BUSY) * accounts) / BUSY)] ?? "",
    object: () => Math.floor(random() * objects),
    loaded: {
      accountBytes: ofAccounts.bytes,
      objectBytes: ofObjects.bytes,
      accountsPerSecond: ofAccounts.perSecond,
      objectsPerSecond: ofObjects.perSecond,
    },
  };
}

/** Waits until Redis has rewritten its append-only file, as it does when that has doubled: of a load in an hour it is still under way. */
async function rewritten(client: Redis): Promise<void> {
  for (let look = 0; look < REWRITE_LOOKS_MAX; look++) {
    const persistence = await client.info("persistence");
    if (/aof_rewrite_in_progress:0/.test(persistence) && /aof_rewrite_scheduled:0/.test(persistence)) return;
    await sleep(REWRITE_LOOK_MS);
  }
  throw new Error("Redis is rewriting its append-only file still.");
}

const seconds = (from: number): string => ((monotonicMs() - from) / 1_000).toFixed(1);

/** Rolls up until nothing waits. */
export async function bookWhatWaits(engine: Engine): Promise<void> {
  while ((await engine.rollUp()).accounts > 0);
}

/** Rolls up as the job does until the work is done, and then until nothing waits. */
async function rolledUpMeanwhile(engine: Engine, work: Promise<unknown>): Promise<void> {
  let isOver = false;
  const rolling = (async () => {
    while (!isOver) {
      await sleep(ROLL_UP_EVERY_MS);
      await engine.rollUp();
    }
    await bookWhatWaits(engine);
  })();
  await Promise.all([work.finally(() => (isOver = true)), rolling]);
}
