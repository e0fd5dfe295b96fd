import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buildApp } from "../../../src/http/app.ts";
import { iso } from "../../../src/kernel/window.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { openState } from "../../../src/state/open-state.ts";
import { accountNames, makeAccounts } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { NUMBERED } from "../http/load.ts";
import { startLoader } from "../http/loader.ts";
import { atLeast, figure, type Result } from "../result.ts";
import { median, p99, rate, type Sample } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "Usage events over HTTP, a thousand a request, each (source, id) counted once and durable when it is answered, for a hundred accounts.";

const ACCOUNTS = 100;
const EVENTS = 1_000;
const CALLERS = 4;
const KEY = "the-benchmark-operator-key";
const EVENTS_A_SECOND = 50_000;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const names = accountNames(ACCOUNTS);
  await makeAccounts(engine.db, names, systemClock.now());
  const state = await openState(engine, join(bench.dataDir, "state"), (error) => bench.say(String(error)));
  bench.closers.push(() => state.close());
  const app = await buildApp({ engine, state, adminKey: KEY, redisDurable: null, runJobs: async () => {} });
  bench.closers.push(() => app.close());
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const send = startLoader(bench);
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/cloudevents-batch+json" };
  const samples: Sample[] = [];
  for (let round = 0; round <= bench.profile.rounds; round++) {
    const bodies = [batch(names, round)];
    const sample = await send({ port, path: "/v1/events", headers, bodies, callers: CALLERS, ms: bench.profile.stretchMs });
    // The first warms up.
    if (round > 0) samples.push(sample);
  }
  return [
    figure("events.with_dedupe", "events/s", { value: median(samples.map(rate)) * EVENTS }, atLeast(EVENTS_A_SECOND, "value")),
    figure("events.batch.p99", "ms", { value: median(samples.map(p99)) }),
  ];
}

/** A batch whose ids are new with each call of each round. */
function batch(names: readonly string[], round: number): string {
  const time = iso(systemClock.now());
  const events = Array.from({ length: EVENTS }, (_, i) => ({
    specversion: "1.0",
    id: `${round}-${NUMBERED}-${i}`,
    source: "/bench",
    type: "weir.usage",
    subject: names[i % names.length],
    time,
    data: { service: "api", usage: { log_events: 1 } },
  }));
  return JSON.stringify(events);
}
