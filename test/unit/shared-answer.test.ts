import { expect, it } from "vitest";
import { shared } from "../../src/http/shared-answer.ts";

it("is asked once at a time, and again when it is old; an error is shared too, and forgotten too", async () => {
  let now = 0;
  let asked = 0;
  let settle: (error?: Error) => void = () => {};
  const question = (): Promise<number> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const number = asked;
      settle = (error) => (error ? reject(error) : resolve(number));
    });
  const ask = shared(question, 250, () => now);
  const first = Promise.all([ask(), ask()]);
  now = 10_000;
  const late = ask();
  settle();
  expect([await first, await late]).toEqual([[1, 1], 1]);
  now += 249;
  expect(await ask()).toBe(1);
  now += 1;
  const failed = Promise.allSettled([ask(), ask()]);
  settle(new Error("away"));
  expect((await failed).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await expect(ask()).rejects.toThrow("away");
  now += 250;
  const again = ask();
  settle();
  expect(await again).toBe(3);
  expect(asked).toBe(3);
});
