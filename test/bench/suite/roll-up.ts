import { sql } from "kysely";
import { monotonicMs, sleep, systemClock } from "../../../src/kernel/clock.ts";
import type { Engine } from "../../../src/engine.ts";
import { accountNames, makeAccounts, USAGE } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { watchLag } from "../lag.ts";
import { atLeast, atMost, figure, versus, type Result } from "../result.ts";
import { interleave, rate, type Sample, type Subject } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "Roll-up of 2,000 accounts with four totals each, from Redis into the ledger: beside the same rows written by one plain statement that unnests arrays and keeps the greatest; and how far it lags behind 64 callers that check without a pause.";

const ACCOUNTS = 2_000;
const METERS = Object.keys(USAGE);
const CALLERS = 64;
/** As the job is rung. */
const ROLL_UP_EVERY_MS = 1_000;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const names = accountNames(ACCOUNTS);
  await makeAccounts(engine.db, names, systemClock.now());
  await sql`create table plain_totals (account text, bucket timestamptz, meter text, source text, quantity bigint, primary key (account, bucket, meter, source))`.execute(
    engine.db,
  );
  let total = 0;
  const subjects: Subject[] = [
    { name: "weir", run: () => rolledUp(engine, names) },
    { name: "plain", run: () => upserted(engine, names, ++total) },
  ];
  const measured = await interleave(subjects, bench.profile.rounds);
  return [
    versus("roll_up.against_plain_upsert", "rows/s", measured, ["weir", "plain"], rate, atLeast(0.6)),
    figure("roll_up.lag_under_load.p99", "ms", { value: await lag(engine, names, bench.profile.rounds) }, atMost(2_000, "value")),
  ];
}

/** Every account used once, then all booked; only the booking is timed. */
async function rolledUp(engine: Engine, names: readonly string[]): Promise<Sample> {
  for (let i = 0; i < names.length; i += 200) {
    await Promise.all(
      names.slice(i, i + 200).map((account) => engine.gate.check({ account, service: "api", usage: USAGE }, systemClock.now())),
    );
  }
  return timed(() => engine.rollUp());
}

async function upserted(engine: Engine, names: readonly string[], total: number): Promise<Sample> {
  const rows = names.flatMap((account) => METERS.map((meter) => ({ account, meter })));
  const hour = new Date(Math.floor(systemClock.now() / 3_600_000) * 3_600_000).toISOString();
  return timed(async () => {
    await sql`
      insert into plain_totals select account, ${hour}::timestamptz, meter, 'one', ${total}::bigint
      from unnest(${rows.map((r) => r.account)}::text[], ${rows.map((r) => r.meter)}::text[]) r (account, meter)
      on conflict (account, bucket, meter, source) do update set quantity = greatest(plain_totals.quantity, excluded.quantity)`.execute(
      engine.db,
    );
  });
}

async function timed(work: () => Promise<unknown>): Promise<Sample> {
  const from = monotonicMs();
  await work();
  const ms = monotonicMs() - from;
  return { rate: (ACCOUNTS * METERS.length * 1_000) / ms, p50Ms: ms, p99Ms: ms };
}

/** From a check's answer until it is booked, at worst. */
async function lag(engine: Engine, names: readonly string[], rounds: number): Promise<number> {
  const load = closedLoop(CALLERS, rounds * ROLL_UP_EVERY_MS, (n) =>
    engine.gate.check({ account: names[n % names.length] ?? "", service: "api", usage: USAGE }, systemClock.now()),
  );
  let isOver = false;
  const rolling = (async () => {
    while (!isOver) {
      await sleep(ROLL_UP_EVERY_MS);
      await engine.rollUp();
    }
  })();
  const { p99Ms } = await watchLag(
    engine,
    load.finally(() => (isOver = true)),
  );
  await rolling;
  return p99Ms;
}
