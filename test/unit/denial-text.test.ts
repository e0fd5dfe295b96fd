import { expect, it } from "vitest";
import { composeDecision, type MeterFacts } from "../../src/gate/compose-decision.ts";

const denial = (unit: string, limit: number): string | undefined => {
  const window = { plan: limit, cap: null, used: 0, held: 0, stranded: 0 };
  const meter: MeterFacts = {
    meter: "m",
    unit,
    gauge: false,
    requested: limit + 1,
    credited: false,
    day: window,
    month: { ...window, plan: null },
  };
  const noObject = { object: "//", objectBefore: 0, objectAfter: 0, storageDelta: null, objectCeiling: null };
  const noPayload = { payloadBytes: 0, payloadCeiling: null };
  const asked = { allowed: false, decisionId: "dec_1", reservation: null, account: "acct_1", refusals: "", dayEnd: 0, monthEnd: 0 };
  return composeDecision({ ...asked, ...noObject, ...noPayload, meters: [meter] }).denials[0]?.message;
};

it.each([
  ["row", 1, "limit is 1 row per day"],
  ["row", 0, "limit is 0 rows per day"],
  ["GB-ms", 13_000_000, "limit is 13000000 GB-ms per day"],
])("a limit in %s of %i is read as a person would say it", (unit, limit, text) => {
  expect(denial(unit, limit)).toContain(text);
});
