import { expect, it } from "vitest";
import { RecentMap } from "../../src/kernel/recent.ts";

it("keeps what is used and forgets what is not, within its bound", () => {
  const recent = new RecentMap<number, string>(100);
  recent.set(0, "used");
  for (let i = 1; i <= 10_000; i++) {
    recent.set(i, "once");
    if (i % 20 === 0) recent.get(0);
    expect(recent.size).toBeLessThanOrEqual(100);
  }
  expect(recent.get(0)).toBe("used");
  expect(recent.get(10_000)).toBe("once");
  expect(recent.get(9_951)).toBe("once");
  expect(recent.get(1)).toBeUndefined();
  recent.delete(0);
  expect(recent.get(0)).toBeUndefined();
});
