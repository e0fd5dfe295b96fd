import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Address, StateContext } from "../../../src/state/context.ts";
import { putValue } from "../../../src/state/put-value.ts";
import { getValue, listKeys, listObjects } from "../../../src/state/read-objects.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { objectsOn, room } from "./gate.ts";

const text = (value: string): Uint8Array => Buffer.from(value);
const at = (object: string, namespace = room): Address => ({ namespace, object });

const valueOf = async (context: StateContext, address: Address, key: string): Promise<string> =>
  Buffer.from((await getValue(context, address, key)).value).toString();

let dir: ReturnType<typeof tempDir>;
let plane: ReturnType<typeof objectsOn>;

beforeEach(() => {
  dir = tempDir("state");
  plane = objectsOn(dir.path);
});
afterEach(() => {
  expect(plane.troubles).toEqual([]);
  plane.context.files.close();
  dir.remove();
});

describe("names", () => {
  const hostile = [
    "..",
    ".",
    "...",
    "../../etc/passwd".replaceAll("/", "\\"),
    "Room",
    "room",
    "ROOM",
    "CON",
    "nul.txt",
    "a".repeat(512),
    "😀".repeat(512),
    "é",
    "e\u0301",
    "%2e%2e",
    "'; drop table entries; --",
    '"',
    "-wal",
    " ",
    "index.sqlite",
  ];

  const keysFor = (object: string): string[] => [object, [...`${object}/`].slice(-512).join("")];

  it("of any kind are objects and keys of their own, inside the folder", async () => {
    for (const object of hostile) {
      for (const key of keysFor(object)) await putValue(plane.context, at(object), key, text(`${object}|${key}`));
    }
    for (const object of hostile) {
      for (const key of keysFor(object)) expect(await valueOf(plane.context, at(object), key)).toBe(`${object}|${key}`);
    }
    const { items } = await listObjects(plane.context, room, { limit: 1_000 });
    expect(items.map((entry) => entry.objectKey).toSorted()).toEqual(hostile.toSorted());
    const paths = readdirSync(dir.path, { recursive: true, withFileTypes: true }).map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths) expect(path.slice(dir.path.length)).toMatch(/^[a-z0-9/.-]+$/);
  });

  it("of accounts that differ in case only are two accounts", async () => {
    const accounts = ["acct_a", "ACCT_A", "..", "."].map((account) => ({ ...room, account }));
    for (const namespace of accounts) await putValue(plane.context, at("room-1", namespace), "who", text(namespace.account));
    for (const namespace of accounts) expect(await valueOf(plane.context, at("room-1", namespace), "who")).toBe(namespace.account);
  });
});

describe("lists", () => {
  it("page through 2,500 keys in the order of their bytes, each once", async () => {
    const keys = Array.from({ length: 2_497 }, (_, n) => `key-${(n * 7_919) % 2_497}`).concat("\uffee", "😀", "é");
    const batch = 250;
    for (let from = 0; from < keys.length; from += batch) {
      await Promise.all(keys.slice(from, from + batch).map((key) => putValue(plane.context, at("room-1"), key, text("v"))));
    }
    const seen: string[] = [];
    const pages: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await listKeys(plane.context, at("room-1"), { limit: 1_000, cursor });
      seen.push(...page.items.map((entry) => entry.key));
      pages.push(page.items.length);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(pages).toEqual([1_000, 1_000, 500]);
    expect(seen).toEqual(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    expect(plane.asked.slice(-3).map((request) => request.usage["state_sqlite_rows_read"])).toEqual([1_000, 1_000, 500]);
  });

  it("name a namespace's objects with their bytes and when they were seen", async () => {
    const created = plane.clock.now();
    for (const object of ["b", "a", "c"]) await putValue(plane.context, at(object), "k", text("v"));
    plane.clock.advance(60_000);
    await getValue(plane.context, at("a"), "k");
    await putValue(plane.context, at("b"), "big", Buffer.alloc(100_000));
    const first = await listObjects(plane.context, room, { limit: 2 });
    const second = await listObjects(plane.context, room, { limit: 2, cursor: first.nextCursor ?? "" });
    expect(first.items).toEqual([
      { objectKey: "a", storageBytes: 12_288, createdAt: created, lastSeenAt: created + 60_000 },
      {
        objectKey: "b",
        storageBytes: expect.toSatisfy((bytes: number) => bytes > 112_000 && bytes < 125_000),
        createdAt: created,
        lastSeenAt: created + 60_000,
      },
    ]);
    expect(second).toEqual({
      items: [{ objectKey: "c", storageBytes: 12_288, createdAt: created, lastSeenAt: created }],
      nextCursor: null,
    });
  });

  it("refuse a cursor of another list", async () => {
    for (const object of ["a", "b"]) await putValue(plane.context, at(object), "k", text("v"));
    const { nextCursor } = await listObjects(plane.context, room, { limit: 1 });
    await expect(listKeys(plane.context, at("a"), { limit: 1, cursor: nextCursor ?? "" })).rejects.toMatchObject({
      code: "validation_failed",
    });
  });
});
