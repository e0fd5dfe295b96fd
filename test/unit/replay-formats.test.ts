import { describe, expect, test } from "vitest";
import { detectFormat } from "../../src/replay/format.ts";
import { csvCells } from "../../src/replay/generic-csv.ts";
import { LINE_CHARS_MAX, lines } from "../../src/replay/lines.ts";
import { readTrace, UnknownFormatError } from "../../src/replay/trace.ts";

const CSV_HEADER = "time,op,service,namespace,object,key,bytes";
const BLOCK_HEADER = "version,time,op,size,lbn";
const ACCESS_LINE =
  '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /images/a.png?x=1 HTTP/1.1" 200 203023 "http://example.com/" "Mozilla/5.0 (X; \\"q\\")"';

async function* chunked(text: string | Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}

async function readAll(
  text: string,
): Promise<{ operations: unknown[]; unreadable: { count: number; first: string | null }; format: string }> {
  const trace = await readTrace(chunked(text));
  const operations: unknown[] = [];
  for await (const operation of trace.operations) operations.push(operation);
  return { operations, unreadable: trace.unreadable, format: trace.format.name };
}

describe("the format is told by the content", () => {
  test.each([
    [BLOCK_HEADER, "block I/O"],
    [CSV_HEADER, "CSV"],
    ["\ufeffTime,Op,Service,Namespace,Object,Key,Bytes", "CSV"],
    ["key,op,object", "CSV"],
    [ACCESS_LINE, "access log"],
    ["a,b,c", undefined],
    ["op,object,key,surprise", undefined],
    ["hello", undefined],
  ])("%s", (line, name) => expect(detectFormat(line)?.name).toBe(name));

  test("an unknown one says which there are", async () => {
    await expect(readAll("a,b\n1,2\n")).rejects.toThrow("time,op,service,namespace,object,key,bytes");
    await expect(readAll("")).rejects.toThrow(UnknownFormatError);
    await expect(readAll("\n\n")).rejects.toThrow("empty");
  });
});

describe("block I/O", () => {
  test("object = lbn >> 10, key = lbn, 2a writes, 28 reads", async () => {
    // 42932745 / 1024 = 41926.5…; 4398046511104 = 2^42 lies beyond a 32-bit shift: 2^42 / 2^10 = 2^32.
    const { operations } = await readAll(`${BLOCK_HEADER}\n1,5633898,2a,512,42932745\n1,5633899,28,65536,4398046511104\n`);
    expect(operations).toMatchObject([
      { kind: "put", object: "41926", key: "42932745", bytes: 512, service: null, namespace: null, alongside: null },
      { kind: "get", object: "4294967296", key: "4398046511104", bytes: 0 },
    ]);
  });

  test("what cannot be read is left out, counted and named", async () => {
    const { operations, unreadable } = await readAll(`${BLOCK_HEADER}\n1,1,2a,512,7\n1,1,99,512,7\n1,2\n1,1,28,x,7\n\n1,1,28,1,9`);
    expect(operations).toHaveLength(2);
    expect(unreadable).toEqual({ count: 3, first: 'line 3: operation "99" is neither 28 (read) nor 2a (write)' });
  });
});

describe("access log", () => {
  test.each([
    ["GET", "200 203023", "get", 0, { worker_requests: 1, worker_transfer_bytes: 203_023 }],
    ["HEAD", "304 -", "get", 0, { worker_requests: 1 }],
    ["POST", "404 0", "put", 1, { worker_requests: 1 }],
    ["OPTIONS", "200 5", "put", 1, { worker_requests: 1, worker_transfer_bytes: 5 }],
  ])("%s %s", async (method, result, kind, size, alongside) => {
    const { operations } = await readAll(`1.2.3.4 - bob [17/May/2015:10:05:03 +0000] "${method} /a?b=c HTTP/1.1" ${result} "-" "agent"\n`);
    expect(operations).toEqual([{ kind, service: null, namespace: null, object: "1.2.3.4", key: "/a?b=c", bytes: size, alongside }]);
  });

  test("a common log (without referrer) is one too", async () => {
    expect((await readAll('::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.0" 200 5\n')).operations).toHaveLength(1);
  });

  test("a path that is too long for a key ends in a digest, and two such paths differ", async () => {
    const line = (tail: string): string => `h - - [t] "GET /${"a".repeat(595)}${tail} HTTP/1.1" 200 1 "-" "-"`;
    const { operations } = await readAll(`${line("1")}\n${line("2")}\n`);
    const keys = operations.map((o) => (o as { key: string }).key);
    expect(keys.map((k) => k.length)).toEqual([512, 512]);
    expect(keys[0]).not.toBe(keys[1]);
  });

  test("garbage requests, as the internet sends them, are counted and left out", async () => {
    const { operations, unreadable } = await readAll(
      `${ACCESS_LINE}\n1.1.1.1 - - [t] "\\x16\\x03\\x01" 400 226 "-" "-"\n1.1.1.1 - - [t] "-" 408 -\n`,
    );
    expect(operations).toHaveLength(1);
    expect(unreadable.count).toBe(2);
  });
});

describe("CSV", () => {
  test("columns in any order, optional ones empty or missing", async () => {
    expect((await readAll(`${CSV_HEADER}\n1,put,s1,Room,r-1,k,12\n2,READ,,,r-1,k,\n`)).operations).toEqual([
      { kind: "put", service: "s1", namespace: "Room", object: "r-1", key: "k", bytes: 12, alongside: null },
      { kind: "get", service: null, namespace: null, object: "r-1", key: "k", bytes: 0, alongside: null },
    ]);
    expect((await readAll("key,op,object\r\nk,delete,o\r\n")).operations).toMatchObject([{ kind: "delete-value", key: "k", object: "o" }]);
  });

  test.each([
    ["1,jump,,,o,k,1", '"jump" is not get, put or delete'],
    ["1,put,,,o/x,k,1", "the object's name is not valid"],
    ["1,put,,,o,,1", "the key is not valid"],
    ["1,put,,,..,k,1", "the object's name is not valid"],
    ["1,put,a b,,o,k,1", '"a b" is not a service\'s name'],
    ["1,put,,room,o,k,1", '"room" is not a namespace\'s name'],
    ["1,put,,,o,k,-1", 'bytes "-1" is not a whole number'],
    ["1,put,,,o,k,1.5", 'bytes "1.5" is not a whole number'],
    ["1,put,o,k", "it has 4 fields, the header 7"],
  ])("%s is refused", async (line, reason) => {
    expect((await readAll(`${CSV_HEADER}\n${line}\n`)).unreadable).toEqual({ count: 1, first: `line 2: ${reason}` });
  });

  test.each([
    ['a,"b,c",d', ["a", "b,c", "d"]],
    ['"say ""hi""",x', ['say "hi"', "x"]],
    ['a,""', ["a", ""]],
    ["a,b,", ["a", "b", ""]],
    ['"a",b,', ["a", "b", ""]],
  ])("cells of %s", (line, cells) => expect(csvCells(line)).toEqual(cells));

  test("a quote that is not closed is refused", () => expect(() => csvCells('a,"b')).toThrow("not closed"));
});

describe("lines", () => {
  const collect = async (text: string | Uint8Array, size: number): Promise<string[]> => Array.fromAsync(lines(chunked(text, size)));

  test.each([1, 2, 3, 1000])("are the same however the bytes are cut (%d at a time)", async (size) => {
    expect(await collect("é1\r\n\n🙂2\nlast", size)).toEqual(["é1", "", "🙂2", "last"]);
  });

  test("one without an end does not fill the memory", async () => {
    const [line, ...more] = await collect(Buffer.alloc(LINE_CHARS_MAX * 3, "x"), 4096);
    expect(more).toEqual([]);
    expect(line?.length).toBeLessThanOrEqual(LINE_CHARS_MAX + 4096);
  });
});
