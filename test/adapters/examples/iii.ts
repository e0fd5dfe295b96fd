/** A counter in iii's state, whose account may write three rows: `npm run example iii`. The engine is the tests' stand-in. */
import { InvocationError, registerWorker } from "iii-sdk";
import { iiiMeter } from "../../../src/adapters/iii/iii.ts";
import { startIiiEngine } from "../support/iii-engine.ts";
import { meterWithRowsLeft } from "./weir.ts";

const ACCOUNT = "acct_iii_example";
const weir = await meterWithRowsLeft(ACCOUNT, 3);
const engine = await startIiiEngine();

const meter = iiiMeter({ meter: weir.meter, InvocationError, account: ACCOUNT, service: "counters" });
const iii = meter.client(registerWorker(engine.url, { enableMetricsReporting: false, otel: { enabled: false } }));
const add = { function_id: "state::update", payload: { scope: "counters", key: "visits", ops: [{ type: "increment", path: "", by: 1 }] } };
for (let i = 1; i <= 4; i++) {
  await iii.trigger(add).then(
    (result) => console.log(`add: 200 ${JSON.stringify(result)}`),
    (error: unknown) => console.log(`add: 429 ${String(error)}`),
  );
}
const value: unknown = await iii.trigger({ function_id: "state::get", payload: { scope: "counters", key: "visits" } });
console.log(`value: ${String(value)}\n${await weir.usage()}`);
await iii.shutdown();
await engine.stop();
