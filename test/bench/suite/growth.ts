import { sql } from "kysely";
import type { Engine } from "../../../src/engine.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { DAY_MS, HOUR_MS, iso } from "../../../src/kernel/window.ts";
import { ensurePartitions } from "../../../src/ledger/ledger-store.ts";
import { accountNames, makeAccounts, USAGE } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { allowed, inAnyOrder, REDIS_BYTES, storing, weighed } from "../loading.ts";
import { atMost, figure, versus, type Result } from "../result.ts";
import { interleave, p50, type Subject } from "../rounds.ts";
import { openClient, openEngine } from "../stores.ts";

export const title =
  "What a check costs as things grow, one caller, p50: an account with many objects beside one with one; the last of many accounts beside the first; a year of booked hours beside none; 24 meters beside one, by meter. And what Redis keeps.";

const CALLERS = 1;
const FLAT = 1.2;
/** A key is kept twice until it is booked: as an answer, and to be booked. */
const KEY_BYTES = 700;
const KEYS = 10_000;

export async function run(bench: Bench): Promise<Result[]> {
  const { objects, accounts, rounds, stretchMs, historyMonths } = bench.profile;
  const engine = await openEngine(bench);
  const names = accountNames(accounts);
  await makeAccounts(engine.db, [...names, "few", "many", "keyed", "old", "new", "wide"], systemClock.now());
  await sql`update subscriptions set plan = 'pro' where account in ('few', 'many', 'keyed', 'old', 'new', 'wide')`.execute(engine.db);
  await history(engine, historyMonths);
  const memory = await measured(bench, engine, { names, objects });
  const store = (account: string, count: number) => (n: number) => allowed(engine, storing(account, n % count, 1_000 + (n % 7)));
  const use = (account: string, usage: Record<string, number>) => () => allowed(engine, { account, service: "api", usage });
  const counters = engine.catalog.meters.filter(({ kind }) => kind === "counter").map(({ name }) => name);
  const calls: [string, (n: number) => Promise<unknown>][] = [
    ["one_object", store("few", 1)],
    ["many_objects", store("many", objects)],
    ["first_account", use(names[0] ?? "", USAGE)],
    ["last_account", use(names.at(-1) ?? "", USAGE)],
    ["no_history", use("new", USAGE)],
    ["history", use("old", USAGE)],
    ["one_meter", use("wide", { state_requests: 1 })],
    ["all_meters", use("wide", Object.fromEntries(counters.map((name) => [name, 1])))],
  ];
  const subjects = calls.map(([name, call]): Subject => ({ name, run: () => closedLoop(CALLERS, stretchMs, call) }));
  const samples = await interleave(subjects, rounds);
  const flat = (name: string, subject: string, baseline: string) =>
    versus(`growth.${name}`, "ms", samples, [subject, baseline], p50, atMost(FLAT));
  return [
    flat(`objects_1_to_${objects}`, "many_objects", "one_object"),
    flat(`accounts_1_to_${accounts}`, "last_account", "first_account"),
    flat(`history_0_to_${historyMonths}_months`, "history", "no_history"),
    // More is asked for, so more is done; the trip stays one.
    versus(`growth.meters_1_to_${counters.length}`, "ms", samples, ["all_meters", "one_meter"], p50),
    ...memory,
  ];
}

/** Loads accounts, objects and idempotency keys, and weighs them by what Redis' memory grows by. */
async function measured(
  bench: Bench,
  engine: Engine,
  { names, objects }: { names: readonly string[]; objects: number },
): Promise<Result[]> {
  const client = openClient(bench);
  const grown = (count: number, step: (i: number) => Promise<unknown>): Promise<number> =>
    weighed(client, count, () => inAnyOrder({ to: count }, step));
  const account = await grown(names.length, (i) => allowed(engine, { account: names[i] ?? "", service: "api", usage: USAGE }));
  const object = await grown(objects, (i) => allowed(engine, storing("many", i, 1_000)));
  await allowed(engine, { account: "keyed", service: "api", usage: USAGE });
  const key = await grown(KEYS, (i) => allowed(engine, { account: "keyed", service: "api", usage: USAGE, idempotencyKey: `key-${i}` }));
  // What waits to be booked goes once it is; what stays is what a busy account weighs.
  return [
    figure("growth.redis_bytes_per_account", "bytes", { value: account }, atMost(REDIS_BYTES.account, "value")),
    figure("growth.redis_bytes_per_object", "bytes", { value: object }, atMost(REDIS_BYTES.object, "value")),
    figure("growth.redis_bytes_per_idempotency_key", "bytes", { value: key }, atMost(KEY_BYTES, "value")),
  ];
}

/** So many months of booked hours of four meters for the account "old". */
async function history(engine: Engine, months: number): Promise<void> {
  const end = Math.floor(systemClock.now() / HOUR_MS) * HOUR_MS;
  for (let month = 0; month < months; month++) {
    const from = end - (month + 1) * 30 * DAY_MS;
    await ensurePartitions(engine.db, [from, from + 30 * DAY_MS]);
    await sql`
      insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
      select 'old', hour, meter, 'api', '', 0, 'seed', 1
      from generate_series(${iso(from)}::timestamptz, ${iso(from + 30 * DAY_MS - HOUR_MS)}::timestamptz, interval '1 hour') hour,
           unnest(${Object.keys(USAGE)}::text[]) meter on conflict do nothing`.execute(engine.db);
  }
  await sql`analyze usage_buckets`.execute(engine.db);
}
