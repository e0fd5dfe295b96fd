import { expect, test } from "vitest";
import { HOUR_MS } from "../../src/kernel/window.ts";
import { UnbookedTotals } from "../../src/ledger/unbooked.ts";

const BUCKET = 100 * HOUR_MS;
const ROOM = { service: "api", namespace: "Room" };
const FLAT = { byteMilliseconds: 0n, level: 0 };
const add = (unbooked: UnbookedTotals, quantity: number): void =>
  unbooked.add("acct", unbooked.source, 1, BUCKET, "api/Room", "requests", quantity);
const quantities = (unbooked: UnbookedTotals): number[] => unbooked.copiesOf("acct").totals.map(({ quantity }) => quantity);
const book = (unbooked: UnbookedTotals, openFrom = 0): void => unbooked.forget("acct", unbooked.copiesOf("acct"), openFrom);

test("only what has grown since it was booked is told again, as a whole", () => {
  const unbooked = new UnbookedTotals("first");
  add(unbooked, 3);
  expect(quantities(unbooked)).toEqual([3]);
  book(unbooked);
  expect(quantities(unbooked)).toEqual([]);
  add(unbooked, 4);
  expect(quantities(unbooked)).toEqual([7]);
});

test("what grows while it is booked is told the next time", () => {
  const unbooked = new UnbookedTotals("first");
  add(unbooked, 3);
  const copies = unbooked.copiesOf("acct");
  add(unbooked, 2);
  unbooked.forget("acct", copies, 0);
  expect(quantities(unbooked)).toEqual([5]);
});

test("under a new name it begins anew, and what was counted under the one before need not be told again", () => {
  const unbooked = new UnbookedTotals("first");
  add(unbooked, 3);
  book(unbooked);
  unbooked.renew();
  add(unbooked, 2);
  expect(unbooked.copiesOf("acct").totals).toMatchObject([{ source: unbooked.source, quantity: 2 }]);
});

test("an account is forgotten when its buckets are over and all of it is booked, also what was booked before they were", () => {
  const unbooked = new UnbookedTotals("first");
  add(unbooked, 3);
  book(unbooked);
  book(unbooked, BUCKET);
  expect(unbooked.accounts()).toEqual(["acct"]);
  const held = unbooked.total("acct", unbooked.source, 1, BUCKET, "api/Room", "requests");
  book(unbooked, BUCKET + 1);
  expect(unbooked.accounts()).toEqual([]);
  expect(held.isForgotten).toBe(true);
});

test("what somebody else has booked of it is not told again; what is newer is", () => {
  const unbooked = new UnbookedTotals("first");
  add(unbooked, 3);
  const key = (name: string) => ({ account: "acct", keyHash: Buffer.from(name), answer: Buffer.from("yes"), at: BUCKET });
  const level = (object: string, seq: number) => ({
    account: "acct",
    ...ROOM,
    meter: "bytes",
    object,
    bytes: seq,
    epoch: 1,
    seq,
    at: BUCKET,
  });
  const gauge = (meter: string, seq: number) => ({ account: "acct", meter, bucket: BUCKET, epoch: 1, from: 0, until: seq, ...FLAT, seq });
  for (const name of ["k1", "k2"]) unbooked.setKey(key(name));
  for (const one of [level("a", 5), level("b", 9)]) unbooked.setLevel(one);
  for (const one of [gauge("m", 5), gauge("n", 9)]) unbooked.setGauge(one);
  const total = { account: "acct", ...ROOM, bucket: BUCKET, meter: "requests", epoch: 1, source: "first", quantity: 3 };
  const booked = {
    totals: [total, { ...total, account: "nobody" }],
    levels: [level("a", 6), level("b", 8)],
    gauges: [gauge("m", 5), gauge("n", 8)],
  };
  unbooked.forgetAll({ ...booked, keys: [key("k2"), key("k3")] }, 0);
  expect(unbooked.copiesOf("acct")).toEqual({ totals: [], levels: [level("b", 9)], gauges: [gauge("n", 9)], keys: [key("k1")] });
  expect(unbooked.accounts()).toEqual(["acct"]);
});
