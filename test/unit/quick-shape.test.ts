import { describe, expect, it } from "vitest";
import { eachTotal, Shapes } from "../../src/counters/quick-shape.ts";

const met = (shapes: Shapes, usage: [string, number][], times: number, places = usage.map((_, i) => i)) => {
  const shape = shapes.of(usage, places);
  for (let i = 0; i < times; i++) shapes.meet(shape);
  return shape;
};
const USAGE: [string, number][] = [
  ["a", 1],
  ["b", 20],
];

describe("a shape", () => {
  it("is counted by meter until it is common, then as a whole", () => {
    const shapes = new Shapes();
    expect(met(shapes, USAGE, 15)).toMatchObject({ meters: ["a", "b"], quantities: [1, 20], whole: "" });
    expect(met(shapes, USAGE, 1).whole).toBe("#a,1;b,20;");
    expect(shapes.of(USAGE, [0, 1])).toBe(shapes.of(USAGE, [0, 1]));
    expect(shapes.of([["a", 2]], [0]).whole).toBe("");
  });

  it("is another where its meters stand elsewhere, and counted in the same field", () => {
    const shapes = new Shapes();
    expect(met(shapes, USAGE, 16, [0, 1])).toMatchObject({ places: [0, 1], whole: "#a,1;b,20;" });
    expect(met(shapes, USAGE, 15, [3, 2])).toMatchObject({ places: [3, 2], whole: "" });
    expect(met(shapes, USAGE, 1, [3, 2]).whole).toBe("#a,1;b,20;");
    for (let i = 0; i < 63; i++) expect(met(shapes, [["a", i + 100]], 16).whole).not.toBe("");
    expect(met(shapes, [["c", 1]], 16).whole).toBe("");
    expect(met(shapes, USAGE, 16, [5, 4]).whole).toBe("#a,1;b,20;");
  });

  it("is one of 64 common ones at most", () => {
    const shapes = new Shapes();
    const whole = Array.from({ length: 100 }, (_, i) => met(shapes, [["a", i]], 50).whole).filter((text) => text !== "");
    expect(whole).toHaveLength(64);
  });
});

it.each<[field: string, value: number, expected: [string, number][]]>([
  ["1/src/0/s/Room/a", 7, [["1/src/0/s/Room/a", 7]]],
  ["1/src/0/s/Room/#a,1;", 7, [["1/src/0/s/Room/a", 7]]],
  [
    "1/src/0/s/Room/#a,1;b_c,20;d,0;",
    7,
    [
      ["1/src/0/s/Room/a", 7],
      ["1/src/0/s/Room/b_c", 140],
      ["1/src/0/s/Room/d", 0],
    ],
  ],
])("the field %s stands for its meters", (field, value, expected) => {
  const totals: [string, number][] = [];
  eachTotal(field, value, (total, quantity) => totals.push([total, quantity]));
  expect(totals).toEqual(expected);
});
