import { describe, expect, it } from "vitest";
import { ObjectLanes } from "../../src/state/object-lanes.ts";
import { WaitingLine } from "../../src/state/waiting-line.ts";

const line = (options: { slots?: number; waitingMax?: number; waitMsMax?: number }) =>
  new WaitingLine({ slots: 1, waitingMax: 10, waitMsMax: 60_000, what: "The object", ...options });

describe("a waiting line", () => {
  it("admits in the order of arrival", async () => {
    const mutex = line({});
    const order: number[] = [];
    await mutex.enter();
    const turns = [1, 2, 3].map(async (n) => {
      await mutex.enter();
      order.push(n);
      mutex.leave();
    });
    expect(order).toEqual([]);
    mutex.leave();
    await Promise.all(turns);
    expect(order).toEqual([1, 2, 3]);
    expect(mutex.idle).toBe(true);
  });

  it("refuses the one beyond the bound with 503, and keeps those who wait", async () => {
    const mutex = line({ waitingMax: 2 });
    await mutex.enter();
    const waiting = [mutex.enter(), mutex.enter()];
    await expect(mutex.enter()).rejects.toMatchObject({ code: "unavailable", retryAfterSeconds: 1 });
    expect(mutex.waiting).toBe(2);
    mutex.leave();
    mutex.leave();
    await Promise.all(waiting);
    mutex.leave();
    expect(mutex.idle).toBe(true);
  });

  it("lets nobody wait for ever, and gives no slot to one who has gone", async () => {
    const mutex = line({ waitMsMax: 1 });
    await mutex.enter();
    await expect(mutex.enter()).rejects.toMatchObject({ code: "unavailable" });
    expect(mutex.waiting).toBe(0);
    mutex.leave();
    expect(mutex.idle).toBe(true);
  });

  it("holds as many at once as it has slots", async () => {
    const three = line({ slots: 3 });
    let inside = 0;
    let most = 0;
    const turns = Array.from({ length: 12 }, async () => {
      await three.enter();
      most = Math.max(most, (inside += 1));
      await Promise.resolve();
      inside -= 1;
      three.leave();
    });
    await Promise.all(turns);
    expect(most).toBe(3);
  });
});

describe("object lanes", () => {
  it("run one object's tasks alone, and another object's beside them", async () => {
    const lanes = new ObjectLanes();
    const gate = Promise.withResolvers<void>();
    const log: string[] = [];
    const first = lanes.run("a", 0, async () => {
      await gate.promise;
      log.push("a1");
    });
    const second = lanes.run("a", 0, async () => void log.push("a2"));
    await lanes.run("b", 0, async () => void log.push("b1"));
    gate.resolve();
    await Promise.all([first, second]);
    expect(log).toEqual(["b1", "a1", "a2"]);
  });

  it("go on after a task that failed", async () => {
    const lanes = new ObjectLanes();
    const failing = lanes.run("a", 0, () => Promise.reject(new Error("no")));
    const next = lanes.run("a", 0, () => Promise.resolve("yes"));
    await expect(failing).rejects.toThrow("no");
    expect(await next).toBe("yes");
  });

  it("refuse to hold more than 256 MiB of waiting values", async () => {
    const lanes = new ObjectLanes();
    const gate = Promise.withResolvers<void>();
    const first = lanes.run("a", 0, () => gate.promise);
    const big = lanes.run("a", 256 * 1024 * 1024, () => Promise.resolve("written"));
    await expect(lanes.run("a", 1, () => Promise.resolve())).rejects.toMatchObject({ code: "unavailable" });
    gate.resolve();
    await first;
    expect(await big).toBe("written");
  });
});
