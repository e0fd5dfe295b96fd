import { afterAll, beforeAll, expect, test } from "vitest";
import { MeteredCall } from "../../src/adapters/metered-call.ts";
import type { Actual, MeterPort } from "../../src/adapters/port.ts";
import { Stay } from "../../src/adapters/stay.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
beforeAll(async () => {
  weir = await openWeir();
});
afterAll(() => weir.stop());

const deny = ({ message }: { message: string }): Error => new Error(message);

/** Does `before` once, when a settlement is on its way and not yet there. */
function whileSettling(before: () => void): MeterPort {
  let once: (() => void) | null = before;
  const { meter } = weir;
  const settle = async (reservation: string, actual: Actual): Promise<boolean> => {
    const work = once;
    once = null;
    work?.();
    return meter.settle(reservation, actual);
  };
  return { ...meter, settle };
}

test("what is counted while a call changes its hold is counted in the next, not lost", async () => {
  const account = await weir.newAccount();
  const during: Promise<void>[] = [];
  const meter = whileSettling(() => {
    during.push(call.afford({ operations: 1, rowsWritten: 1 }), call.reach({ operations: 1, rowsRead: 5 }));
    expect(() => call.put("key", 3)).toThrow(/^limit_exceeded: more state_requests than was held/);
  });
  const call = new MeteredCall(
    { meter, duration: false },
    {
      place: { account, object: "lobby" },
      key: `test:${account}`,
      source: "test",
      writes: true,
      deny,
      journal: (_step, decide) => decide(),
    },
  );
  await call.begin(undefined);
  await call.afford({ operations: 10, rowsWritten: 10 });
  // More rows than are held; of the other meters there is plenty.
  await call.afford({ operations: 1, rowsRead: 100 });
  await Promise.all(during);
  await call.settle();
  expect(await weir.used(account)).toEqual({ requests: 12, rows_read: 100, rows_written: 11 });
  expect(await weir.reserved(account)).toEqual({});
});

test("an operation that its call has not waited for is counted, and settled when it ends", async () => {
  const account = await weir.newAccount();
  const stay = new Stay(
    { meter: weir.meter, duration: false },
    {
      place: { account, object: "lobby" },
      family: "test",
      id: account,
      source: "test",
      deny,
      refusalIn: (error) => error,
      measure: () => Promise.resolve(null),
      outbox: null,
    },
  );
  const call = stay.newCall();
  let left: Awaited<ReturnType<Stay["enterIn"]>> | null = null;
  await stay.carryOut(call, undefined, async () => {
    await call.afford({ operations: 1, rowsWritten: 1 });
    left = await stay.enterIn(call);
  });
  expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
  await call.afford({ operations: 1, rowsWritten: 1 });
  await left!.leave();
  expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 2 });
  expect(await weir.reserved(account)).toEqual({});
});
