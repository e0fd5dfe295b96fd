import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WeirError } from "../../../src/kernel/errors.ts";
import type { Address, StateContext } from "../../../src/state/context.ts";
import { deleteValue } from "../../../src/state/delete-value.ts";
import { totalStorage } from "../../../src/state/object-index.ts";
import { putValue } from "../../../src/state/put-value.ts";
import { getValue, listKeys, listObjects } from "../../../src/state/read-objects.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { type Decide, objectsOn, room } from "./gate.ts";

const DENIED = new WeirError("limit_exceeded", "No.", { extra: { denials: [] } });
const text = (value: string): Uint8Array => Buffer.from(value);
const at = (object: string, namespace = room): Address => ({ namespace, object });

/** Every file under `folder` with its bytes: what "changes nothing" is held against. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name), "base64")]),
  );
}

const valueOf = async (context: StateContext, address: Address, key: string): Promise<string> =>
  Buffer.from((await getValue(context, address, key)).value).toString();

let dir: ReturnType<typeof tempDir>;
let decide: Decide;
let plane: ReturnType<typeof objectsOn>;

beforeEach(() => {
  dir = tempDir("state");
  decide = () => {};
  plane = objectsOn(dir.path, (request) => decide(request));
});
afterEach(() => {
  expect(plane.troubles).toEqual([]);
  plane.context.files.close();
  dir.remove();
});

describe("values", () => {
  it("come back as they were put, with the times of the first and the last put", async () => {
    const { context, clock } = plane;
    const created = clock.now();
    await putValue(context, at("room-1"), "counter", text("1"));
    clock.advance(5_000);
    await putValue(context, at("room-1"), "counter", text("22"));
    const { entry, value } = await getValue(context, at("room-1"), "counter");
    expect(entry).toEqual({ key: "counter", valueSizeBytes: 2, createdAt: created, updatedAt: created + 5_000 });
    expect(Buffer.from(value).toString()).toBe("22");
  });

  it("may be empty, or 2 MiB of anything", async () => {
    const big = Buffer.alloc(2_097_152 - 3, Buffer.from([0, 255, 128]));
    await putValue(plane.context, at("room-1"), "none", text(""));
    await putValue(plane.context, at("room-1"), "big", big);
    expect((await getValue(plane.context, at("room-1"), "none")).value.byteLength).toBe(0);
    expect(big.equals((await getValue(plane.context, at("room-1"), "big")).value)).toBe(true);
  });

  it("ask the gate with what the catalogue counts, the payload in bytes and the measured size", async () => {
    await putValue(plane.context, at("room-1"), "é", text("né"));
    await getValue(plane.context, at("room-1"), "é");
    await deleteValue(plane.context, at("room-1"), "é");
    await deleteValue(plane.context, at("room-1"), "é");
    const where = { account: "acct_1", service: "service_1", namespace: "Room", object: "room-1" };
    // An object's tables need three pages of 4,096 bytes; one entry fits beside them.
    const size = { set: 12_288 };
    expect(plane.asked).toEqual([
      { ...where, operation: "put", usage: { state_requests: 1, state_sqlite_rows_written: 1 }, payloadBytes: 5, storageBytes: size },
      { ...where, operation: "get", usage: { state_requests: 1, state_sqlite_rows_read: 1 } },
      { ...where, operation: "delete-value", usage: { state_requests: 1, state_sqlite_rows_written: 1 }, storageBytes: size },
      { ...where, operation: "delete-value", usage: { state_requests: 1 } },
    ]);
  });

  it("that are missing count as a miss, and leave no file", async () => {
    await expect(getValue(plane.context, at("nobody"), "k")).rejects.toMatchObject({ code: "not_found" });
    expect(await listKeys(plane.context, at("nobody"), { limit: 10 })).toEqual({ items: [], nextCursor: null });
    expect(await deleteValue(plane.context, at("nobody"), "k")).toBe(false);
    expect(plane.asked.map((request) => request.usage)).toEqual([
      { state_requests: 1 },
      { state_requests: 1, state_sqlite_rows_read: 1 },
      { state_requests: 1 },
    ]);
    expect(contents(dir.path)).toEqual({});
  });

  it("give their bytes back when they are deleted or replaced by less", async () => {
    const told = () => plane.asked.at(-1)?.storageBytes?.set ?? -1;
    await putValue(plane.context, at("room-1"), "small", text("1"));
    const before = told();
    await putValue(plane.context, at("room-1"), "big", Buffer.alloc(1_000_000));
    expect(told()).toBeGreaterThanOrEqual(before + 1_000_000);
    await putValue(plane.context, at("room-1"), "big", Buffer.alloc(100_000));
    expect(told()).toBeLessThan(before + 120_000);
    await deleteValue(plane.context, at("room-1"), "big");
    expect(told()).toBe(before);
  });

  it("cost what the file takes on disk", async () => {
    for (let n = 0; n < 50; n += 1) await putValue(plane.context, at("room-1"), `key-${n}`, Buffer.alloc(n * 400));
    plane.context.files.close();
    const file = Object.keys(contents(dir.path)).find((path) => path.includes("objects"));
    expect(statSync(String(file)).size).toBe(plane.asked.at(-1)?.storageBytes?.set);
  });
});

describe("a denied operation", () => {
  const listing = async (context: StateContext) => [
    (await listObjects(context, room, { limit: 10 })).items,
    (await listKeys(context, at("room-1"), { limit: 10 })).items,
    await context.files.index(room, -1, totalStorage),
  ];
  const refusals: [string, () => never][] = [
    [
      "denied",
      () => {
        throw DENIED;
      },
    ],
    [
      "without an answer",
      () => {
        throw new WeirError("unavailable", "Redis is away.");
      },
    ],
  ];

  it.each(refusals)("%s leaves values, sizes, listings and every byte on disk as they were", async (_, refuse) => {
    await putValue(plane.context, at("room-1"), "counter", text("1"));
    plane.clock.advance(3_600_000);
    // The listing is a read itself: it moves lastSeenAt, once.
    await listing(plane.context);
    const before = [await listing(plane.context), contents(dir.path)];
    // The peek before a large write passes, as it does when another write takes the last row in between.
    decide = ({ operation, mode }) => (mode !== "peek" && (operation === "put" || operation === "delete-value") ? refuse() : undefined);
    const attempts = [
      () => putValue(plane.context, at("room-1"), "counter", text("2")),
      () => putValue(plane.context, at("room-1"), "huge", Buffer.alloc(2_000_000)),
      () => putValue(plane.context, at("room-2"), "counter", text("1")),
      () => deleteValue(plane.context, at("room-1"), "counter"),
      () => deleteValue(plane.context, at("room-1"), "absent"),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toBeInstanceOf(WeirError);
    const bytes = contents(dir.path);
    expect([await listing(plane.context), bytes]).toEqual(before);
    expect(await valueOf(plane.context, at("room-1"), "counter")).toBe("1");
  });

  it("that is too large touches nothing: the gate is asked before the object's turn", async () => {
    await putValue(plane.context, at("room-1"), "counter", text("1"));
    const before = contents(dir.path);
    decide = (request) => {
      if ((request.payloadBytes ?? 0) > 2_097_152) throw new WeirError("payload_too_large", "No.");
    };
    await expect(putValue(plane.context, at("room-1"), "k", Buffer.alloc(2_097_152))).rejects.toMatchObject({ status: 413 });
    expect(plane.asked.at(-1)).toMatchObject({ mode: "peek", payloadBytes: 2_097_153 });
    expect(contents(dir.path)).toEqual(before);
  });

  it("on reading answers nothing", async () => {
    await putValue(plane.context, at("room-1"), "counter", text("1"));
    decide = () => {
      throw DENIED;
    };
    await expect(getValue(plane.context, at("room-1"), "counter")).rejects.toBe(DENIED);
    await expect(listKeys(plane.context, at("room-1"), { limit: 1 })).rejects.toBe(DENIED);
    await expect(listObjects(plane.context, room, { limit: 1 })).rejects.toBe(DENIED);
  });
});

describe("turns", () => {
  it("100 puts at once to one object all land, in the order they came", async () => {
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    decide = () => new Promise((resolve) => setImmediate(resolve));
    await Promise.all(
      numbers.flatMap((n) => [
        putValue(plane.context, at("room-1"), "last", text(String(n))),
        putValue(plane.context, at("room-1"), `key-${n}`, text(String(n))),
      ]),
    );
    expect(await valueOf(plane.context, at("room-1"), "last")).toBe("99");
    const { items } = await listKeys(plane.context, at("room-1"), { limit: 1_000 });
    expect(items.map((entry) => entry.key).toSorted()).toEqual(["last", ...numbers.map((n) => `key-${n}`)].toSorted());
  });

  it("a read never sees a write that is denied later", async () => {
    await putValue(plane.context, at("room-1"), "counter", text("old"));
    const asking = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    decide = (request) => {
      if (request.operation !== "put") return undefined;
      asking.resolve();
      return answer.promise;
    };
    const put = putValue(plane.context, at("room-1"), "counter", text("new"));
    const refused = put.catch((error: unknown) => error);
    await asking.promise;
    const read = valueOf(plane.context, at("room-1"), "counter");
    answer.reject(DENIED);
    expect(await refused).toBe(DENIED);
    expect(await read).toBe("old");
  });

  it("400 objects written and read at once share 256 open files", async () => {
    const objects = Array.from({ length: 400 }, (_, n) => `room-${n}`);
    await Promise.all(objects.map((object) => putValue(plane.context, at(object), "name", text(object))));
    await Promise.all(objects.map((object) => putValue(plane.context, at(object), "again", text(object))));
    const read = await Promise.all(objects.map((object) => valueOf(plane.context, at(object), "again")));
    expect(read).toEqual(objects);
    const sizes = new Map(plane.asked.filter((request) => request.storageBytes).map((r) => [r.object, r.storageBytes?.set ?? 0]));
    const sum = [...sizes.values()].reduce((total, bytes) => total + bytes, 0);
    expect(await plane.context.files.index(room, -1, totalStorage)).toBe(sum);
  });
});
