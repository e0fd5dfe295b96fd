import { InvocationError, TriggerAction } from "iii-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { iiiMeter } from "../../src/adapters/iii/iii.ts";
import { openIii, REAL_ENGINE, WAYS, type IiiRuntime, type Way } from "./support/iii-runtime.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
let iii: IiiRuntime;
beforeAll(async () => {
  weir = await openWeir();
  iii = await openIii(weir);
});
afterAll(async () => {
  await iii.stop();
  await weir.stop();
});

type Run = (operation: string, payload?: object, metadata?: object) => Promise<unknown>;

/** Calls by way of the wrapper, or of the middleware. */
async function newScope(way: Way, plan = "free") {
  const account = await weir.newAccount(plan);
  const client = iii.client(way);
  const run: Run = (operation, payload = {}, metadata) =>
    client.trigger({
      function_id: `state::${operation}`,
      payload: { scope: `${account}/s`, ...payload },
      ...(metadata ? { metadata } : {}),
    });
  /** The same, and nobody waits for it. */
  const tell = (operation: string, payload: object): Promise<unknown> =>
    client.trigger({
      function_id: `state::${operation}`,
      payload: { scope: `${account}/s`, ...payload },
      action: TriggerAction.Void(),
    });
  return { account, run, tell };
}

describe.each(WAYS)("iii by %s", (way) => {
  test("every operation counts exactly, and stored bytes are the values'", async () => {
    const { account, run } = await newScope(way);
    const table: [string, object, object][] = [
      ["set", { key: "a", value: { n: 1 } }, { requests: 1, rows_written: 1 }],
      ["get", { key: "a" }, { requests: 1, rows_read: 1 }],
      ["get", { key: "b" }, { requests: 1 }],
      ["set", { key: "b", value: "hello" }, { requests: 1, rows_written: 1 }],
      ["list", {}, { requests: 1, rows_read: 2 }],
      ["update", { key: "a", ops: [{ type: "set", path: "x", value: 1 }] }, { requests: 1, rows_read: 1, rows_written: 1 }],
      ["update", { key: "a", ops: [{ type: "increment", path: "n", by: 2 }] }, { requests: 1, rows_read: 1, rows_written: 1 }],
      ["update", { key: "a", ops: [{ type: "decrement", path: "n", by: 1 }] }, { requests: 1, rows_read: 1, rows_written: 1 }],
      ["update", { key: "a", ops: [{ type: "append", path: "l", value: 1 }] }, { requests: 1, rows_read: 1, rows_written: 1 }],
      ["update", { key: "a", ops: [{ type: "merge", value: { m: 1 } }] }, { requests: 1, rows_read: 1, rows_written: 1 }],
      [
        "update",
        {
          key: "a",
          ops: [
            { type: "remove", path: "x" },
            { type: "remove", path: "m" },
          ],
        },
        { requests: 1, rows_read: 1, rows_written: 1 },
      ],
      ["delete", { key: "b" }, { requests: 1, rows_written: 1 }],
      ["delete", { key: "b" }, { requests: 1 }],
    ];
    for (const [operation, payload, counts] of table) {
      const from = await weir.used(account);
      await run(operation, payload);
      const moved = Object.entries(await weir.used(account)).map(([meter, n]) => [meter, n - (from[meter] ?? 0)] as const);
      expect(Object.fromEntries(moved.filter(([, n]) => n > 0)), `${operation} ${JSON.stringify(payload)}`).toEqual(counts);
    }
    expect(await run("get", { key: "a" })).toEqual({ n: 2, l: [1] });
    expect(await weir.storedBytes(account)).toBe(JSON.stringify({ n: 2, l: [1] }).length);
    expect(await weir.reserved(account)).toEqual({});
  });

  test("a cap stops the write, by an InvocationError whose text begins with its code", async () => {
    const { account, run } = await newScope(way);
    await run("set", { key: "a", value: 1 });
    await weir.cap(account, "state_sqlite_rows_written", "day", 1);
    for (const [operation, payload] of [
      ["set", { key: "a", value: 2 }],
      ["update", { key: "a", ops: [{ type: "set", value: 3 }] }],
      ["delete", { key: "a" }],
    ] as const) {
      const error: unknown = await run(operation, payload).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InvocationError);
      expect((error as InvocationError).message).toContain("limit_exceeded: state_sqlite_rows_written");
    }
    expect(await iii.stored(`${account}/s`, "a")).toBe(1);
    expect(await run("delete", { key: "nothing" })).toBeNull();
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 1 });
  });

  test("a repeated call under its own key counts once, also where it finds another store than before", async () => {
    const { account, run } = await newScope(way);
    for (let i = 0; i < 2; i++) await run("set", { key: "a", value: 1 }, { idempotency_key: `${account}-1` });
    expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
    for (let i = 0; i < 2; i++) await run("delete", { key: "a" }, { idempotency_key: `${account}-2` });
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 2 });
    expect(await weir.storedBytes(account)).toBe(0);
    expect(await weir.reserved(account)).toEqual({});
  });
});

describe.each(WAYS)("beside what an operation answers, iii by %s", (way) => {
  test("counts an update of which one operation does not apply as one write, and what is stored after it", async () => {
    const { account, run } = await newScope(way);
    await run("set", { key: "a", value: { n: 1 } });
    const from = await weir.used(account);
    const ops = [
      { type: "increment", path: "n", by: 1 },
      { type: "merge", value: "no object" },
    ];
    await run("update", { key: "a", ops });
    const { requests = 0, rows_read = 0, rows_written = 0 } = await weir.used(account);
    expect({ requests: requests - (from["requests"] ?? 0), rows_read, rows_written: rows_written - (from["rows_written"] ?? 0) }).toEqual({
      requests: 1,
      rows_read: 1,
      rows_written: 1,
    });
    expect(await weir.storedBytes(account)).toBe(JSON.stringify(await iii.stored(`${account}/s`, "a")).length);
  });

  test("takes a value that is named data for the value", async () => {
    const { account, run } = await newScope(way);
    await run("set", { key: "a", data: "hello" });
    expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
    expect(await weir.storedBytes(account)).toBe('"hello"'.length);
  });

  test("counts what nobody waits for: a value's bytes as new, a deleted one's as those it had", async () => {
    const { account, run, tell } = await newScope(way);
    await tell("set", { key: "a", value: "hello" });
    await expect.poll(() => weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
    await expect.poll(() => iii.stored(`${account}/s`, "a")).toBe("hello");
    expect(await weir.storedBytes(account)).toBe('"hello"'.length);
    await tell("delete", { key: "a" });
    await expect.poll(() => weir.used(account)).toEqual({ requests: 2, rows_written: 2 });
    await expect.poll(() => iii.stored(`${account}/s`, "a")).toBe(null);
    expect(await weir.storedBytes(account)).toBe(0);
    await run("delete", { key: "a" });
    expect(await weir.used(account)).toEqual({ requests: 3, rows_written: 2 });
  });

  test("takes a delete's answer by either form: what it held, or nothing", async () => {
    const { account, run } = await newScope(way);
    const forms = iii.standIn ? [true, false] : [false];
    for (const wraps of forms) {
      if (iii.standIn) iii.standIn.wrapsDeleted = wraps;
      for (const value of ["hello", {}, { old_value: 1 }]) {
        await run("set", { key: "a", value });
        await run("delete", { key: "a" });
        expect(await weir.storedBytes(account)).toBe(0);
        await run("delete", { key: "a" });
        expect(await weir.storedBytes(account)).toBe(0);
      }
    }
    expect(await weir.used(account)).toEqual({ requests: 9 * forms.length, rows_written: 6 * forms.length });
  });
});

// Of the stand-in alone: a real engine has them where the separate worker is installed.
describe.each(REAL_ENGINE === undefined ? WAYS : [])("the separate state worker's functions, iii by %s", (way) => {
  test("list keys and entries as rows, and write where they compare alike", async () => {
    const { account, run } = await newScope(way);
    const steps: [string, object, object, bytes: number][] = [
      ["compare-and-set", { key: "a", expected: null, value: "one" }, { requests: 1, rows_read: 1, rows_written: 1 }, 5],
      ["compare-and-set", { key: "a", expected: "two", value: "three" }, { requests: 1, rows_read: 1 }, 5],
      ["compare-and-set", { key: "a", expected: "one", value: "seven" }, { requests: 1, rows_read: 1, rows_written: 1 }, 7],
      ["set", { key: "b", value: 1 }, { requests: 1, rows_written: 1 }, 8],
      ["list_keys", {}, { requests: 1, rows_read: 2 }, 8],
      ["list_entries", {}, { requests: 1, rows_read: 2 }, 8],
    ];
    for (const [operation, payload, counts, bytes] of steps) {
      const from = await weir.used(account);
      await run(operation, payload);
      const moved = Object.entries(await weir.used(account)).map(([meter, n]) => [meter, n - (from[meter] ?? 0)] as const);
      expect(Object.fromEntries(moved.filter(([, n]) => n > 0)), `${operation} ${JSON.stringify(payload)}`).toEqual(counts);
      expect(await weir.storedBytes(account)).toBe(bytes);
    }
    await weir.cap(account, "state_sqlite_rows_written", "day", 3);
    const error: unknown = await run("compare-and-set", { key: "a", expected: "seven", value: "x" }).catch((e: unknown) => e);
    expect((error as InvocationError).message).toContain("limit_exceeded: state_sqlite_rows_written");
    expect(await iii.stored(`${account}/s`, "a")).toBe("seven");
    expect(await weir.reserved(account)).toEqual({});
  });
});

test("each change that a state trigger is told of is a request", async () => {
  const account = await weir.newAccount("free");
  iii.client("wrapper");
  const meter = iiiMeter({ meter: weir.meter, InvocationError, account, service: "workers" });
  const scope = `${account}/t`;
  const heard: unknown[] = [];
  const handler = meter.delivery((event: { scope: string; event_type: string }) => Promise.resolve(heard.push(event.event_type)));
  iii.plain.registerFunction(`${account}::told`, handler);
  const trigger = iii.plain.registerTrigger({ type: "state", function_id: `${account}::told`, config: { scope } });
  const run = (operation: string, payload: object): Promise<unknown> =>
    iii.plain.trigger({ function_id: `state::${operation}`, payload: { scope, key: "a", ...payload } });
  await run("set", { value: 1 });
  await run("update", { ops: [{ type: "set", value: 2 }] });
  await run("delete", {});
  // Of another scope it is not told.
  await run("set", { scope: `${account}/u`, value: 1 });
  await expect.poll(() => heard).toEqual(["state:created", "state:updated", "state:deleted"]);
  expect(await weir.used(account)).toEqual({ requests: 3 });
  trigger.unregister();
});

test("groups are rows read, and a delivery of a trigger is a request", async () => {
  const account = await weir.newAccount("free");
  // By a wrapper of its own, beside the other one.
  iii.client("wrapper");
  const meter = iiiMeter({ meter: weir.meter, InvocationError, account, service: "workers" });
  const { groups } = (await meter.client(iii.plain).trigger({ function_id: "state::list_groups", payload: {} })) as { groups: string[] };
  expect(await weir.used(account)).toEqual({ requests: 1, rows_read: Math.max(1, groups.length) });
  const heard = meter.delivery((event: { scope: string }) => Promise.resolve(event.scope));
  expect(await heard({ scope: "s" })).toBe("s");
  await weir.cap(account, "state_requests", "day", 2);
  await expect(heard({ scope: "s" })).rejects.toThrow("limit_exceeded: state_requests");
});
