import { expect, test } from "vitest";
import { inOurWords } from "../../src/cli/former-words.ts";

test.each([
  ["limit set state_requests --period day --value 1", "limits set state_requests --period day --value 1"],
  ["caps delete state_requests --period day", "limits delete state_requests --period day"],
  ["--account acct_1 limit list", "--account acct_1 limits list"],
  ["state put --service limit Room caps limit 1", "state put --service limit Room caps limit 1"],
  ["--service limit state list", "--service limit state list"],
  ["usage --api http://weir:1 --output json", "usage --url http://weir:1 --json"],
  ["usage --api=http://weir:1 --output=json", "usage --url=http://weir:1 --json"],
  ["usage --output text", "usage"],
  ["usage --output yaml", "usage --output yaml"],
  ["usage --output", "usage --output"],
  ["state put --service s Room r k -- --api", "state put --service s Room r k -- --api"],
  ["", ""],
])("%s → %s", (typed, ours) => {
  expect(inOurWords(typed.split(" ").filter(Boolean)).join(" ")).toBe(ours);
});
