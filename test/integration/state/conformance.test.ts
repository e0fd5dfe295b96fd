import { afterAll, beforeAll, test } from "vitest";
import { checkVector, vectorsFor } from "../../conformance/run.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { stateSubject } from "./subject.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

test.each(vectorsFor(["values", "keys", "objects", "alarms", "sockets"]))("the reference data plane counts %s", async (_, vector) => {
  await checkVector(vector, await stateSubject(t));
});
