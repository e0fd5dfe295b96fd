import { afterAll, beforeAll, describe, test } from "vitest";
import { checkVector, vectorsFor } from "../conformance/run.ts";
import { openIii, WAYS, type IiiRuntime } from "./support/iii-runtime.ts";
import { iiiSubject } from "./support/iii-subject.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
let iii: IiiRuntime;
beforeAll(async () => {
  weir = await openWeir();
  iii = await openIii(weir);
});
afterAll(async () => {
  await iii.stop();
  await weir.stop();
});

// iii clears no scope, and its groups are those of everybody in the engine: iii.test.ts has them.
describe.each(WAYS)("iii by %s", (way) => {
  test.each(vectorsFor(["values", "keys"]))("counts %s", async (_, vector) => {
    await checkVector(vector, await iiiSubject(weir, iii, way));
  });
});
