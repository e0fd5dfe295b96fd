/** A counter as a Rivet actor, whose account may write three rows: `npm run example rivet`. */
import { actor, setup, UserError } from "rivetkit";
import { createClient } from "rivetkit/client";
import { db } from "rivetkit/db";
import { rivetMeter } from "../../../src/adapters/rivet/rivet.ts";
import { startRivetEngine } from "../support/rivet-engine.ts";
import { meterWithRowsLeft } from "./weir.ts";

const ACCOUNT = "acct_rivet_example";
const weir = await meterWithRowsLeft(ACCOUNT, 3);
const engine = await startRivetEngine();

const meter = rivetMeter({ meter: weir.meter, UserError, account: ACCOUNT, service: "counters", outbox: true });
const counter = meter.actor(
  actor({
    state: { count: 0 },
    db: db(),
    actions: {
      add: (c, by: number) => (c.state.count += by),
      value: (c) => c.state.count,
    },
  }),
);

const registry = setup({ use: { counter }, endpoint: engine.endpoint, startServices: false, noWelcome: true });
await registry.startAndWait();
const client = createClient<typeof registry>({ endpoint: engine.endpoint });
const visits = client.counter.getOrCreate("visits");
for (let i = 1; i <= 4; i++) {
  await visits.add(1).then(
    (count) => console.log(`add: 200 ${count}`),
    (error: unknown) => console.log(`add: 429 ${String(error)}`),
  );
}
console.log(`value: ${await visits.value()}\n${await weir.usage()}`);
await client.dispose();
await registry.shutdown();
await engine.stop();
// rivetkit keeps a process alive.
process.exit(0);
