import { describe, expect, it } from "vitest";
import { base64Of, decodeValue, textOf } from "../../src/state/encoding.ts";
import { namespaceId, namespaceNumber } from "../../src/state/namespace.ts";
import { decodeCursor, encodeCursor, toPage } from "../../src/state/page.ts";

const bytes = (...numbers: number[]) => Uint8Array.from(numbers);

describe("a value's encoding", () => {
  it.each<[string, "text" | "base64", Uint8Array]>([
    ["", "text", bytes()],
    ["1", "text", bytes(0x31)],
    ["é", "text", bytes(0xc3, 0xa9)],
    ["\ufeffx", "text", bytes(0xef, 0xbb, 0xbf, 0x78)],
    ["\u0000", "text", bytes(0)],
    ["", "base64", bytes()],
    ["AP8=", "base64", bytes(0, 255)],
    ["+/+/", "base64", bytes(0xfb, 0xff, 0xbf)],
  ])("%j as %s", (value, encoding, expected) => {
    expect(Uint8Array.from(decodeValue(value, encoding))).toEqual(expected);
  });

  it.each<[string, "text" | "base64"]>([
    ["\ud800", "text"],
    ["a\udc00b", "text"],
    ["AP8", "base64"],
    ["AP9=", "base64"],
    ["-_-_", "base64"],
    ["AP8=\n", "base64"],
    ["A P8=", "base64"],
    ["é", "base64"],
  ])("refuses %j as %s", (value, encoding) => {
    expect(() => decodeValue(value, encoding)).toThrow(expect.objectContaining({ code: "validation_failed" }));
  });

  it.each<[Uint8Array, string | null, string]>([
    [bytes(), "", ""],
    [bytes(0x31), "1", "MQ=="],
    [bytes(0xef, 0xbb, 0xbf, 0x78), "\ufeffx", "77u/eA=="],
    [bytes(0xff), null, "/w=="],
    [bytes(0xed, 0xa0, 0x80), null, "7aCA"],
  ])("%j comes back as text and base64", (value, text, base64) => {
    expect([textOf(value), base64Of(value)]).toEqual([text, base64]);
  });
});

describe("a cursor", () => {
  it.each(["a", "é", "😀".repeat(512), "a:b", ":"])("carries %j", (name) => {
    expect(decodeCursor("keys", encodeCursor("keys", name))).toBe(name);
  });

  it.each([
    "",
    "x",
    "!!",
    "a2V5cw",
    `${encodeCursor("keys", "a")}=`,
    encodeCursor("objects", "a"),
    Buffer.from([0x6b, 0xff]).toString("base64url"),
  ])("refuses %j", (cursor) => {
    expect(() => decodeCursor("keys", cursor)).toThrow(expect.objectContaining({ code: "validation_failed" }));
  });

  it("ends with the last row, also when the last page is full", () => {
    expect(toPage(["a", "b", "c"], 2, "keys", (row) => row)).toEqual({ items: ["a", "b"], nextCursor: encodeCursor("keys", "b") });
    expect(toPage(["a", "b"], 2, "keys", (row) => row)).toEqual({ items: ["a", "b"], nextCursor: null });
    expect(toPage([], 2, "keys", (row: string) => row)).toEqual({ items: [], nextCursor: null });
  });
});

describe("a namespace's id", () => {
  it("is state_namespace_<number>", () => {
    expect(namespaceId({ number: 7 })).toBe("state_namespace_7");
    expect(namespaceNumber("state_namespace_7")).toBe(7);
    expect(namespaceNumber("Room")).toBeNull();
    expect(namespaceNumber("state_namespace_9999999999999999")).toBeNull();
  });
});
