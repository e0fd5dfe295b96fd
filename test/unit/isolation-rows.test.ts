import { expect, it } from "vitest";
import { missing, routes } from "../integration/isolation/routes.ts";

it("every route has what it takes to be tried with somebody else's ids (test/integration/isolation/README.md)", () => {
  expect(routes().length).toBeGreaterThan(50);
  expect(routes().flatMap(missing)).toEqual([]);
});
