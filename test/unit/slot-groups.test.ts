import { expect, it } from "vitest";
import { groupsBySlot } from "../../src/counters/slot-groups.ts";

const slotOf = ({ slot }: { slot: number }): number => slot;
const items = (...slots: number[]) => slots.map((slot) => ({ slot, weight: slot }));

it.each([
  ["nothing", items(), 3, undefined, []],
  ["one slot, in order, at most three", items(7, 7, 7, 7), 3, undefined, [[0, 1, 2], [3]]],
  [
    "slots apart",
    items(1, 2, 1, 2),
    3,
    undefined,
    [
      [0, 2],
      [1, 3],
    ],
  ],
] as const)("groups %s", (_, given, most, weightOf, groups) => {
  expect(groupsBySlot(given, slotOf, most, weightOf)).toEqual(groups);
});

it("sums weights, and lets what is too heavy go alone", () => {
  const weights = [1, 2, 1, 9, 1, 1];
  expect(
    groupsBySlot(
      weights.map((weight) => ({ weight })),
      () => 0,
      4,
      ({ weight }) => weight,
    ),
  ).toEqual([[0, 1, 2], [3], [4, 5]]);
});
