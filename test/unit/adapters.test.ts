import { expect, test } from "vitest";
import type { Held } from "../../src/adapters/hold.ts";
import { namespaceName, objectName } from "../../src/adapters/names.ts";
import { METER } from "../../src/adapters/port.ts";
import { explain, Tally } from "../../src/adapters/tally.ts";
import { isObjectName, NAMESPACE_NAME_PATTERN } from "../../src/kernel/ids.ts";

test.each([
  ["room-1", "room-1"],
  ["acct_1/room", "acct_1%2Froom"],
  ["a\nb", "a%0Ab"],
  ["\ud800", "%EF%BF%BD"],
  ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
])("the key %j is an object's name", (key, name) => {
  const made = objectName(key);
  expect(isObjectName(made)).toBe(true);
  expect(made).toBe(name);
});

test.each([
  ["Room", "Room"],
  ["chat-room.v2", "ChatRoomV2"],
  ["2nd", "N2nd"],
  ["", "N"],
  ["x".repeat(80), `X${"x".repeat(63)}`],
])("the type %j is the namespace %s", (type, namespace) => {
  expect(namespaceName(type)).toBe(namespace);
  expect(namespaceName(type)).toMatch(NAMESPACE_NAME_PATTERN);
});

const held = (rowsWritten: number, growthBytes: number): Held => ({
  usage: { [METER.requests]: 10, [METER.rowsWritten]: rowsWritten },
  growthBytes,
  reservation: "rsv_1",
  denials: [],
});
const call = { [METER.requests]: 1 };

test("a tally counts all of an operation or nothing", () => {
  const tally = new Tally(held(1, 100), []);
  expect(tally.put(call, "a", 60)).toBeNull();
  expect(tally.put(call, "a", 60)).toMatchObject({ meter: METER.rowsWritten });
  expect(tally.actual()).toEqual({ usage: { [METER.requests]: 1, [METER.rowsWritten]: 1 }, storageBytes: { set: 60 } });
});

test("a tally knows growth from an overwrite", () => {
  const tally = new Tally(held(10, 100), [["a", 90]]);
  expect(tally.put(call, "b", 101)).toMatchObject({ meter: METER.storage });
  expect(tally.put(call, "a", 190)).toBeNull();
  expect(tally.put(call, "b", 1)).toMatchObject({ meter: METER.storage });
  expect(tally.put(call, "a", 90)).toBeNull();
  expect(tally.put(call, "b", 100)).toBeNull();
  expect(tally.actual().storageBytes).toEqual({ set: 190 });
});

test("an unmeasured key counts as new, and its removal as a row", () => {
  const tally = new Tally(held(10, 100), null);
  expect(tally.put(call, "a", 40)).toBeNull();
  expect(tally.put(call, "a", 50)).toBeNull();
  expect(tally.remove(call, "b")).toBeNull();
  expect(tally.actual()).toEqual({ usage: { [METER.requests]: 3, [METER.rowsWritten]: 3 }, storageBytes: { delta: 50 } });
  expect(tally.removeAll(call)).toBeNull();
  expect(tally.actual()).toEqual({ usage: { [METER.requests]: 4, [METER.rowsWritten]: 4 }, storageBytes: { set: 0 } });
});

test("an unused meter is settled as 0, for one left out would count as it was held", () => {
  expect(new Tally(held(3, 0), null).actual().usage).toEqual({ [METER.requests]: 0, [METER.rowsWritten]: 0 });
});

test("a refusal begins with its code and names its facts as text", () => {
  const denial = {
    code: "limit_exceeded" as const,
    meter: METER.requests,
    limit: 3,
    used: 3,
    reserved: 0,
    resetsAt: null,
    message: "no more",
  };
  expect(explain({ meter: METER.requests, denial })).toEqual({
    message: "limit_exceeded: no more",
    status: 429,
    metadata: { code: "limit_exceeded", meter: METER.requests, limit: "3", used: "3" },
  });
});
