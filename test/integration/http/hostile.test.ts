import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERROR_CATALOG } from "../../../src/kernel/errors.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { RawConnection, type RawAnswer } from "../../support/raw-http.ts";

let t: TestApp;
let url: string;
beforeAll(async () => {
  t = await openTestApp();
  url = await t.app.listen({ port: 0, host: "127.0.0.1" });
});
afterAll(() => t.stop());

const HEAD = `Host: weir\r\nAuthorization: Bearer ${ADMIN_KEY}\r\n`;
const JSON_HEAD = `${HEAD}Content-Type: application/json\r\n`;
const post = (path: string, body: string | Buffer, more = ""): Buffer =>
  Buffer.concat([
    Buffer.from(`POST ${path} HTTP/1.1\r\n${JSON_HEAD}${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`),
    Buffer.from(body),
  ]);

async function ask(bytes: string | Buffer): Promise<RawAnswer | null> {
  const connection = new RawConnection(url);
  connection.send(bytes);
  const answer = await connection.answer();
  connection.end();
  return answer;
}

/** A refusal as every refusal is: a problem document whose code is of the catalogue, with that code's status. */
function expectProblem(answer: RawAnswer | null, code: keyof typeof ERROR_CATALOG): void {
  expect(answer?.headers["content-type"]).toMatch(/^application\/problem\+json/);
  expect(JSON.parse(answer?.body ?? "")).toMatchObject({ code, status: ERROR_CATALOG[code].status });
  expect(answer?.status).toBe(ERROR_CATALOG[code].status);
}

describe("what is no request of the API", () => {
  const table: [name: string, bytes: string | Buffer, code: keyof typeof ERROR_CATALOG][] = [
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", "bad_request"],
    ["a header without a colon", "GET /health HTTP/1.1\r\nHost weir\r\n\r\n", "bad_request"],
    ["a header with NUL", "GET /health HTTP/1.1\r\nHost: weir\r\nX: a\0b\r\n\r\n", "bad_request"],
    ["a length that is none", `POST /v1/check HTTP/1.1\r\n${JSON_HEAD}Content-Length: -5\r\n\r\n`, "bad_request"],
    ["two lengths", `POST /v1/check HTTP/1.1\r\n${JSON_HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, "bad_request"],
    [
      "a length and chunks",
      `POST /v1/check HTTP/1.1\r\n${JSON_HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      "bad_request",
    ],
    ["headers of 20 kB", `GET /health HTTP/1.1\r\nHost: weir\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, "payload_too_large"],
    ["a path of 20 kB", `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: weir\r\n\r\n`, "payload_too_large"],
    ["a path that cannot be read", `GET /v1/accounts/%ZZ HTTP/1.1\r\n${HEAD}\r\n`, "bad_request"],
    ["a path in bytes that are no UTF-8", `GET /v1/accounts/%C3%28 HTTP/1.1\r\n${HEAD}\r\n`, "bad_request"],
    ["a path parameter without end", `GET /v1/accounts/${"x".repeat(10_000)} HTTP/1.1\r\n${HEAD}\r\n`, "bad_request"],
    ["a path that climbs", `GET /v1/../../etc/passwd HTTP/1.1\r\n${HEAD}\r\n`, "not_found"],
    ["a method nobody serves", `PATCH /v1/check HTTP/1.1\r\n${HEAD}\r\n`, "not_found"],
    ["a key without end", `GET /v1/usage HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${"x".repeat(9_000)}\r\n\r\n`, "unauthorized"],
    ["two accounts named", `GET /v1/usage HTTP/1.1\r\n${HEAD}Weir-Account: a\r\nWeir-Account: b\r\n\r\n`, "not_found"],
    ["an expectation nobody knows", `GET /health HTTP/1.1\r\n${HEAD}Expect: 200-ok\r\n\r\n`, "bad_request"],
    ["a form", post("/v1/check", "account=a").toString().replace("application/json", "application/x-www-form-urlencoded"), "bad_request"],
    ["plain text", post("/v1/check", "{}").toString().replace("application/json", "text/plain"), "bad_request"],
    ["a packed body", post("/v1/check", gzipSync("{}"), "Content-Encoding: gzip\r\n"), "bad_request"],
    ["a bomb", post("/v1/check", gzipSync(Buffer.alloc(50_000_000)), "Content-Encoding: gzip\r\n"), "bad_request"],
    ["a name twice", post("/v1/check", '{"account":"a","account":"b"}'), "invalid_json"],
    ["a body that is no UTF-8", post("/v1/check", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), "invalid_json"],
    ["levels without end", post("/v1/check", "[".repeat(400_000)), "validation_failed"],
    ["a body over a mebibyte", post("/v1/check", " ".repeat(1_100_000)), "payload_too_large"],
    [
      "a body that says it is over a mebibyte",
      `POST /v1/check HTTP/1.1\r\n${JSON_HEAD}Content-Length: 99999999999\r\n\r\n`,
      "payload_too_large",
    ],
  ];

  it.each(table)("%s", async (_name, bytes, code) => {
    expectProblem(await ask(bytes), code);
  });

  it("breaks off in the middle of its body: the connection is closed", async () => {
    expect(await ask(`POST /v1/check HTTP/1.1\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`)).toBeNull();
  });

  it("is answered shortly, however much it held", async () => {
    const names = Array.from({ length: 1_900 }, (_, i) => `"${String(i).padStart(400, "x")}":1`).join();
    const answer = await ask(post("/v1/check", `{${names}}`));
    expectProblem(answer, "validation_failed");
    expect(answer?.body.length).toBeLessThan(5_000);
  });
});

it("a call that needs no body may come without one, with a content type or not", async () => {
  const account = await t.newAccount();
  const release = async (headers: Record<string, string>): Promise<number> => {
    const check = { account, usage: { state_requests: 1 }, mode: "reserve" };
    const { reservation } = (await t.send("POST", "/v1/check", { body: check })).body as { reservation: { id: string } };
    return (await t.send("POST", `/v1/reservations/${reservation.id}/release`, { headers })).status;
  };
  expect(await release({})).toBe(200);
  expect(await release({ "content-type": "application/json" })).toBe(200);
  expect((await t.send("POST", "/v1/check", { headers: { "content-type": "application/json" } })).body).toMatchObject({
    code: "invalid_json",
  });
});

describe("a request that offers to become a WebSocket", () => {
  const OFFER = `${HEAD}Connection: upgrade\r\nUpgrade: websocket\r\n`;

  it.each(["websocket", "WebSocket, h2c", "\xff"])(
    "or to %s, where there is none, is answered as it is, and its connection ends",
    async (offer) => {
      for (const [path, status] of [
        ["/health", 200],
        ["/nowhere", 404],
      ] as const) {
        const connection = new RawConnection(url);
        connection.send(Buffer.from(`GET ${path} HTTP/1.1\r\n${HEAD}Connection: upgrade\r\nUpgrade: ${offer}\r\n\r\n`, "latin1"));
        expect(await connection.answer()).toMatchObject({ status, headers: { connection: "close" } });
        await connection.closed();
      }
    },
  );

  it("or to h2c is answered, and so is what follows it", async () => {
    const connection = new RawConnection(url);
    for (let i = 0; i < 2; i++) {
      connection.send(`GET /health HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`);
      expect((await connection.answer())?.status).toBe(200);
    }
    connection.send(post("/v1/check", "{}", "Connection: Upgrade\r\nUpgrade: h2c\r\n"));
    expectProblem(await connection.answer(), "validation_failed");
    connection.end();
  });

  it("and may not is told that the connection ends", async () => {
    const connection = new RawConnection(url);
    const path = "/v1/services/s/state/namespaces/Room/objects/o/socket";
    connection.send(`GET ${path} HTTP/1.1\r\n${OFFER.replace(/Authorization.*\r\n/, "")}\r\n`);
    const answer = await connection.answer();
    expectProblem(answer, "unauthorized");
    expect(answer?.headers["connection"]).toBe("close");
    await connection.closed();
  });
});

describe("a body that is too large", () => {
  const MEBIBYTE = Buffer.alloc(1_048_576, " ");
  const begin = (length: number): RawConnection => {
    const connection = new RawConnection(url);
    connection.send(`POST /v1/check HTTP/1.1\r\n${JSON_HEAD}Content-Length: ${length}\r\n\r\n`);
    return connection;
  };

  it("is refused while it is still being sent, and its sender sees why; what it asks next is answered", async () => {
    const connection = begin(8 * MEBIBYTE.length);
    connection.send(MEBIBYTE);
    expectProblem(await connection.answer(), "payload_too_large");
    for (let sent = 1; sent < 8; sent++) await new Promise((resolve) => connection.socket.write(MEBIBYTE, resolve));
    connection.send(`GET /health HTTP/1.1\r\n${HEAD}\r\n`);
    expect((await connection.answer())?.status).toBe(200);
    connection.end();
  });

  it("is not read for ever", async () => {
    const connection = begin(1_000 * MEBIBYTE.length);
    expectProblem(await connection.answer(), "payload_too_large");
    for (let sent = 0; sent < 100 && !connection.isClosed; sent++)
      await new Promise((resolve) => connection.socket.write(MEBIBYTE, resolve));
    await connection.closed();
  });
});

describe("several requests at once", () => {
  it("are answered in order, and what follows a broken one is not served", async () => {
    const account = await t.newAccount();
    const check = post("/v1/check", JSON.stringify({ account, usage: { state_requests: 1 } }));
    const connection = new RawConnection(url);
    connection.send(Buffer.concat([check, check, post("/v1/check", "{}"), check]));
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await connection.answer())?.status);
    expect(statuses).toEqual([200, 200, 400, 200]);
    connection.send(Buffer.concat([check, Buffer.from("NONSENSE\r\n\r\n"), check]));
    // A refusal that overtook the answer would be taken for it: the connection is closed, and the client knows that it does not know.
    expect(await connection.answer()).toBeNull();
    expect([3, 4]).toContain((await t.engine.usage(account)).usage.meters.day["state_requests"]);
  });

  it("are served up to a bound, so that who never reads fills no memory; beyond it each is refused in its turn", async () => {
    const account = await t.newAccount();
    const check = post("/v1/check", JSON.stringify({ account, usage: { state_requests: 1 } }));
    const connection = new RawConnection(url);
    connection.send(Buffer.concat(Array.from({ length: 100 }, () => check)));
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 100; i++) statuses.push((await connection.answer())?.status);
    const served = statuses.filter((status) => status === 200).length;
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(statuses.slice(0, 64)).toEqual(Array.from({ length: 64 }, () => 200));
    expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(served);
    connection.send(check);
    expect((await connection.answer())?.status).toBe(200);
  });

  it("a client that leaves in the middle of its body counts nothing", async () => {
    const account = await t.newAccount();
    const check = post("/v1/check", JSON.stringify({ account, usage: { state_requests: 1 } }));
    for (const part of [10, 100, check.length - 1]) {
      const connection = new RawConnection(url);
      connection.send(check.subarray(0, part));
      await new Promise<void>((resolve) => connection.socket.end(() => resolve()));
      await connection.closed();
    }
    expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(0);
  });
});

describe("headers of an answer", () => {
  it("keep a browser from misusing it, and tell nothing of what serves it", async () => {
    for (const path of ["/health", "/v1/usage", "/nowhere", "/openapi.json", "/metrics"]) {
      const headers = Object.fromEntries((await fetch(url + path)).headers);
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store",
      });
      expect(Object.keys(headers).filter((name) => /^(?:server|via|x-powered-by)$|version/.test(name))).toEqual([]);
      expect(JSON.stringify(headers).replace("version=0.0.4", "")).not.toMatch(/fastify|node|express|\bv?\d+\.\d+\.\d+/i);
    }
  });

  it("nor does the page of figures", async () => {
    expect(await (await fetch(`${url}/metrics`)).text()).not.toContain(process.version);
  });

  it("let the documentation's page run its own files only", async () => {
    const page = await t.app.inject({ method: "GET", url: "/docs/" });
    expect(page.statusCode).toBe(200);
    expect(page.headers["content-security-policy"]).toContain("script-src 'self';");
    const inline = [...page.body.matchAll(/<script([^>]*)>([^]*?)<\/script>/g)].filter(
      ([, head, text]) => !head?.includes("src=") || text?.trim(),
    );
    expect(inline).toEqual([]);
    expect(page.body).not.toMatch(/\son[a-z]+=|<style/i);
  });
});
