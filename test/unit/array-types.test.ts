import { describe, expect, it } from "vitest";
import { readArray, writeArray } from "../../src/stores/array-types.ts";

const table: [elements: (string | null)[], written: string][] = [
  [[], "{}"],
  [["a", "b"], '{"a","b"}'],
  [["", "NULL", null], '{"","NULL",NULL}'],
  [['say "hi", \\ {there}', "a,b", "line\nbreak"], '{"say \\"hi\\", \\\\ {there}","a,b","line\nbreak"}'],
];

describe("arrays as Postgres writes them", () => {
  it.each(table)("%j", (elements, written) => {
    expect(writeArray(elements)).toBe(written);
    expect(readArray(written)).toEqual(elements);
  });

  it("may have bare elements", () => {
    expect(readArray("{usage.limit_reached,NULL,webhook.test}")).toEqual(["usage.limit_reached", null, "webhook.test"]);
  });
});
