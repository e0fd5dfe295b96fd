import { TerminalError } from "@restatedev/restate-sdk";
import { afterAll, beforeAll, test } from "vitest";
import { checkVector, vectorsFor } from "../conformance/run.ts";
import { startRestate, type RestateServer } from "./support/restate-server.ts";
import { payer, restateSubject, vectorObject } from "./support/restate-subject.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
let server: RestateServer;
beforeAll(async () => {
  [weir, server] = await Promise.all([openWeir(), startRestate()]);
  const { meter } = weir;
  const options = { meter, TerminalError, account: payer, service: "rooms", adminUrl: server.adminUrl, duration: false };
  await server.deploy(vectorObject("Vector", options));
});
afterAll(() => Promise.all([server.stop(), weir.stop()]));

test.each(vectorsFor(["values", "clear", "keys"]))("Restate counts %s", async (_, vector) => {
  await checkVector(vector, await restateSubject(weir, server, "Vector"));
});
