import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BoundedCalls } from "../../src/stores/bounded-calls.ts";

/** Calls that are answered when the test says so, in the order they were started. */
function server(limits: { inFlightMax: number; waitingMax?: number }) {
  const calls = new BoundedCalls("The server", { timeoutMs: 60_000, waitingMax: 10_000, ...limits });
  const started: { n: number; answer: () => void }[] = [];
  const run = (n: number): Promise<number> =>
    calls.run(() => new Promise<number>((resolve) => started.push({ n, answer: () => resolve(n) })));
  return { calls, started, run };
}

test("starts so many at once and the rest in their order, also in a line that never empties", async () => {
  const { started, run } = server({ inFlightMax: 3 });
  const answers: number[] = [];
  const all: Promise<unknown>[] = [];
  let sent = 0;
  const send = (): void => void all.push(run(sent++).then((n) => answers.push(n)));
  // More than the list keeps of those that have left.
  for (let i = 0; i < 50; i++) send();
  for (let done = 0; done < 5_000; done++) {
    expect(started.length).toBe(Math.min(done + 3, 5_000));
    started[done]?.answer();
    await all[done];
    if (sent < 5_000) send();
  }
  await Promise.all(all);
  expect(started.map(({ n }) => n)).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  expect(answers).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
});

test("a lost connection fails all that is under way or in line, starts none of them, and takes the next", async () => {
  const { calls, started, run } = server({ inFlightMax: 2 });
  const outcomes = Promise.allSettled([0, 1, 2, 3].map(run));
  calls.failAll();
  expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected", "rejected"]);
  expect(started.map(({ n }) => n)).toEqual([0, 1]);
  // An answer that comes all the same frees no place twice.
  started[0]?.answer();
  const [fourth, fifth, sixth] = [run(4), run(5), run(6)];
  expect(started.map(({ n }) => n)).toEqual([0, 1, 4, 5]);
  for (let i = 2; i < 5; i++) {
    started[i]?.answer();
    await [fourth, fifth, sixth][i - 2];
  }
  expect(await Promise.all([fourth, fifth, sixth])).toEqual([4, 5, 6]);
});

test("refuses what would wait too long", async () => {
  const { started, run } = server({ inFlightMax: 1, waitingMax: 1 });
  const [first, second] = [run(0), run(1)];
  await expect(run(2)).rejects.toMatchObject({ code: "unavailable" });
  started[0]?.answer();
  await first;
  started[1]?.answer();
  expect(await second).toBe(1);
});

describe("a server that says nothing", () => {
  const LOOK_MS = 25;
  let now = 0;
  beforeEach(() => {
    now = 0;
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate"] });
    vi.spyOn(performance, "now").mockImplementation(() => now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  /** Time in which this process runs, and looks at what is under way. */
  async function run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += LOOK_MS) {
      now += LOOK_MS;
      await vi.advanceTimersByTimeAsync(LOOK_MS);
      // What a look leaves to the next turn of the loop.
      await vi.advanceTimersByTimeAsync(1);
    }
  }

  /** What becomes of one call that is never answered. */
  function called(): { is: string } {
    const outcome = { is: "waiting" };
    const calls = new BoundedCalls("The server", { timeoutMs: 200, inFlightMax: 2, waitingMax: 2 });
    calls.run(() => new Promise<never>(() => {})).catch(({ code }: { code: string }) => (outcome.is = code));
    return outcome;
  }

  test("is given up when it is silent longer than is allowed", async () => {
    const outcome = called();
    await run(200);
    expect(outcome.is).toBe("waiting");
    await run(25);
    expect(outcome.is).toBe("unavailable");
  });

  test("is not taken for silent while this process does not run, and is given up all the same when it does", async () => {
    const outcome = called();
    await run(100);
    now += 500;
    await run(75);
    expect(outcome.is).toBe("waiting");
    await run(75);
    expect(outcome.is).toBe("unavailable");
  });

  test("is given up after five times as long, however this process stalls", async () => {
    const outcome = called();
    const stall = async (): Promise<void> => {
      now += 150;
      await run(25);
    };
    for (let stalls = 0; stalls < 5; stalls++) await stall();
    expect([now, outcome.is]).toEqual([875, "waiting"]);
    await stall();
    expect(outcome.is).toBe("unavailable");
  });
});
