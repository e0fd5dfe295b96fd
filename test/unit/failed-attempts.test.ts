import { describe, expect, it } from "vitest";
import { FailedAttempts, networkOf } from "../../src/http/failed-attempts.ts";

describe("failed attempts of an address", () => {
  it("are let pass a hundred times, then are to wait", () => {
    const failed = new FailedAttempts();
    for (let i = 0; i < 100; i++) {
      expect(failed.waitBeforeLookUp("192.0.2.1")).toBeNull();
      expect(failed.note("192.0.2.1")).toBeNull();
    }
    expect(failed.note("192.0.2.1")).toBe(1);
  });

  it("leave a few look-ups to whoever else is behind it", () => {
    const failed = new FailedAttempts();
    for (let i = 0; i < 102; i++) failed.note("192.0.2.1");
    const waits = Array.from({ length: 50 }, () => failed.waitBeforeLookUp("192.0.2.1"));
    expect(waits.slice(0, 5)).toEqual([null, null, null, null, null]);
    expect(waits.slice(10)).not.toContain(null);
  });

  it("are no other address's", () => {
    const failed = new FailedAttempts();
    for (let i = 0; i < 200; i++) failed.note("192.0.2.1");
    expect(failed.waitBeforeLookUp("192.0.2.2")).toBeNull();
    expect(failed.note("192.0.2.2")).toBeNull();
  });

  it("of one IPv6 customer are one address's", () => {
    const failed = new FailedAttempts();
    for (let i = 0; i < 200; i++) failed.note(`2001:db8:0:1::${i.toString(16)}`);
    expect(failed.note("2001:db8:0:1:ffff::1")).toBe(1);
    expect(failed.note("2001:db8:0:2::1")).toBeNull();
  });

  it("of more addresses than are remembered cost no more memory, and the present offender is not forgotten", () => {
    const failed = new FailedAttempts();
    for (let i = 0; i < 101; i++) failed.note("192.0.2.1");
    for (let i = 0; i < 50_000; i++) {
      failed.note(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
      if (i % 5_000 === 0) failed.note("192.0.2.1");
    }
    expect(failed.note("192.0.2.1")).toBe(1);
    expect(failed.note("10.0.0.1")).toBeNull();
  });
});

it.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["1::", "1:0:0:0"],
])("the network of %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
