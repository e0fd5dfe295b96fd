import { afterAll, beforeAll, test } from "vitest";
import { checkVector, vectorsFor } from "../conformance/run.ts";
import { startRivetEngine, type RivetEngine } from "./support/rivet-engine.ts";
import { clientOf, registryOf, type Rooms } from "./support/rivet-rooms.ts";
import { rivetSubject } from "./support/rivet-subject.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
let engine: RivetEngine;
let registry: Rooms;
let client: ReturnType<typeof clientOf>;
beforeAll(async () => {
  [weir, engine] = await Promise.all([openWeir(), startRivetEngine()]);
  registry = registryOf(engine.endpoint, { meter: weir.meter });
  await registry.startAndWait();
  client = clientOf(engine.endpoint);
});
afterAll(async () => {
  await client.dispose();
  await registry.shutdown();
  await Promise.all([engine.stop(), weir.stop()]);
});

// An alarm falls due when its time comes, not when a test says so, and Rivet fires it once: rivet.test.ts has firings.
const undriven = vectorsFor(["alarms"]).filter(([, { steps }]) => steps.every((step) => step.do !== "alarm-due"));

test.each([...vectorsFor(["values", "clear", "keys", "sql"]), ...undriven])("Rivet counts %s", async (_, vector) => {
  await checkVector(vector, await rivetSubject(weir, client, "perOperation"));
});

// An actor is awake as a whole: its time is not a socket's.
const sockets = vectorsFor(["sockets"]).filter(([id]) => id !== "socket-duration");

test.each(sockets)("Rivet, a WebSocket being a request, counts %s", async (_, vector) => {
  await checkVector(vector, await rivetSubject(weir, client, "room"));
});
