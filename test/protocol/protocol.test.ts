import { describe, expect, it } from "vitest";
import { explore } from "./explore.ts";
import { SCENES, STATES_MAX } from "./scenes.ts";
import { MUTATIONS } from "./state.ts";

/** Walking a scene takes some seconds on a busy machine. */
const TIME_LIMIT_MS = 60_000;

describe.each(SCENES)("protocol: $name", ({ name, bounds, mutations }) => {
  it("keeps the invariants in every state", { timeout: TIME_LIMIT_MS }, () => {
    const { states, transitions, violation } = explore(bounds, null, STATES_MAX);
    process.stdout.write(`${name}: ${states} states, ${transitions} transitions\n`);
    expect(violation).toBeNull();
    expect(states).toBeGreaterThan(1_000);
  });

  it.each(mutations)("sees it broken: %s", { timeout: TIME_LIMIT_MS }, (mutation) => {
    expect(explore(bounds, mutation, STATES_MAX).violation).not.toBeNull();
  });
});

it("breaks the protocol in every way it knows", () => {
  expect(SCENES.flatMap(({ mutations }) => mutations).toSorted()).toEqual([...MUTATIONS].toSorted());
});
