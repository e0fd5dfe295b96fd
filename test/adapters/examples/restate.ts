/** A counter as a Virtual Object of Restate, whose account may write three rows: `npm run example restate`. */
import * as restate from "@restatedev/restate-sdk";
import { restateMeter } from "../../../src/adapters/restate/restate.ts";
import { startRestate } from "../support/restate-server.ts";
import { meterWithRowsLeft } from "./weir.ts";

const ACCOUNT = "acct_restate_example";
const weir = await meterWithRowsLeft(ACCOUNT, 3);
const server = await startRestate();

const meter = restateMeter({
  meter: weir.meter,
  TerminalError: restate.TerminalError,
  account: ACCOUNT,
  service: "counters",
  adminUrl: server.adminUrl,
});
const counter = restate.object({
  name: "Counter",
  handlers: {
    add: meter.handler(async (ctx: restate.ObjectContext, by: number) => {
      const count = ((await ctx.get<number>("count")) ?? 0) + by;
      ctx.set("count", count);
      return count;
    }),
    value: restate.createObjectSharedHandler(meter.shared(async (ctx: restate.ObjectSharedContext) => ctx.get<number>("count"))),
  },
});

await server.deploy(counter);
for (let i = 1; i <= 4; i++) {
  const { status, body } = await server.call("Counter", "visits", "add", 1);
  console.log(`add: ${status} ${JSON.stringify(body)}`);
}
const { body } = await server.call("Counter", "visits", "value");
console.log(`value: ${JSON.stringify(body)}\n${await weir.usage()}`);
await server.stop();
