import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { openSocket, type SocketOptions, type TestSocket } from "./sockets.ts";

const NAMESPACES = "/v1/services/service_1/state/namespaces";
const SOCKET = `${NAMESPACES}/Room/objects/room-1/socket`;
const MESSAGE_BYTES_MAX = 33_554_432;

let t: TestApp;
let account: string;
let sockets: TestSocket[] = [];

beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

beforeEach(async () => {
  await Promise.all(sockets.map((socket) => socket.close()));
  sockets = [];
  account = await t.newAccount("free");
  expect((await t.send("POST", NAMESPACES, { account, body: { name: "Room" } })).status).toBe(201);
});

async function open(path = SOCKET, options: SocketOptions = {}): Promise<TestSocket> {
  const socket = await openSocket(t, account, path, options);
  sockets.push(socket);
  return socket;
}

/** The account's counters of today, with the time of what is awake up to now. */
async function used(): Promise<Record<string, number>> {
  await t.state.settleTime();
  const { body } = await t.send("GET", "/v1/usage", { account });
  return (body as { usage: { meters: { day: Record<string, number> } } }).usage.meters.day;
}

async function cap(meter: string, capValue: number): Promise<void> {
  expect((await t.send("PUT", `/v1/usage/caps/${meter}`, { account, body: { period: "day", capValue } })).status).toBe(200);
}

/** Waits until what a closed socket leaves behind is counted. */
async function closed(socket: TestSocket): Promise<void> {
  await socket.close();
  const again = await open(`${NAMESPACES}/Room/objects/another/socket`);
  await again.close();
  await t.state.settleTime();
}

describe("a room", () => {
  test("sends every message to all its sockets, the sender's too, in one order", async () => {
    const [a, b] = [await open(), await open()];
    const elsewhere = await open(`${NAMESPACES}/Room/objects/room-2/socket`);
    for (let n = 0; n < 200; n += 1) (n % 2 === 0 ? a : b).send(`${n}`);
    await Promise.all([a.until(200), b.until(200)]);
    expect(a.received).toEqual(b.received);
    expect(a.received.filter((_, i) => Number(a.received[i]) % 2 === 0)).toEqual(Array.from({ length: 100 }, (_, i) => String(i * 2)));
    expect(elsewhere.received).toEqual([]);
    // The namespace, three sockets, 200 messages.
    expect(await used()).toMatchObject({ state_requests: 1 + 3 + 10 });
  });

  test("counts 20 messages to a request whoever sends them and whenever: a room that opens again goes on where the last one stopped", async () => {
    const first = await open();
    expect(await first.exchange(1)).toBe(1);
    await closed(first);
    const before = await used();
    const second = await open();
    expect(await second.exchange(19)).toBe(19);
    expect((await used())["state_requests"]).toBe((before["state_requests"] ?? 0) + 1);
    expect(await second.exchange(1)).toBe(1);
    expect((await used())["state_requests"]).toBe((before["state_requests"] ?? 0) + 2);
  });

  test("counts what was sent before a socket closed, all of it", async () => {
    const socket = await open();
    for (let n = 0; n < 100; n += 1) socket.send("last words");
    await closed(socket);
    await expect.poll(async () => (await used())["state_requests"]).toBe(1 + 1 + 5 + 1);
  });

  test("denies a message with 1008 and the code; it is neither counted nor sent, and the others stay", async () => {
    const [a, b] = [await open(), await open()];
    expect(await a.exchange(20)).toBe(20);
    await cap("state_requests", 4);
    a.send("one too many");
    expect(await a.untilClosed()).toEqual({ code: 1008, reason: "limit_exceeded" });
    expect(b.closed).toBeNull();
    expect(b.received.length).toBe(20);
    expect(await used()).toMatchObject({ state_requests: 4 });
    const late = await open();
    expect(await late.untilClosed()).toEqual({ code: 1008, reason: "limit_exceeded" });
    expect(await used()).toMatchObject({ state_requests: 4 });
  });

  test("is awake while a socket is open, and counted once however many are", async () => {
    const [a, b] = [await open(), await open()];
    t.clock.advance(5_000);
    await a.close();
    t.clock.advance(2_500);
    expect(await used()).toMatchObject({ state_duration_gb_milliseconds: 960 });
    await b.close();
    t.clock.advance(60_000);
    await expect.poll(used).toMatchObject({ state_duration_gb_milliseconds: 960 });
    await open();
    t.clock.advance(3_600_000);
    expect(await used()).toMatchObject({ state_duration_gb_milliseconds: 960 + 460_800 });
  });

  test("whose time is used up closes with 1008; the limit is reached and not passed", async () => {
    await cap("state_duration_gb_milliseconds", 2_000);
    const [a, b] = [await open(), await open()];
    const closed = Promise.all([a.untilClosed(), b.untilClosed()]);
    let areOpen = true;
    void closed.finally(() => (areOpen = false));
    // The house looks at its rooms every so often; the clock goes on until it has.
    for (let n = 0; areOpen && n < 100; n += 1) {
      t.clock.advance(2_000);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await closed).toEqual([
      { code: 1008, reason: "limit_exceeded" },
      { code: 1008, reason: "limit_exceeded" },
    ]);
    expect(await used()).toMatchObject({ state_duration_gb_milliseconds: 2_000 });
  });

  test("takes a message of 32 MiB, and closes with 1009 for a byte more", async () => {
    const socket = await open();
    socket.send(Buffer.alloc(MESSAGE_BYTES_MAX));
    await socket.until(1);
    expect(socket.received[0]?.length).toBe(MESSAGE_BYTES_MAX);
    const other = await open();
    other.send(Buffer.alloc(MESSAGE_BYTES_MAX + 1));
    expect((await other.untilClosed()).code).toBe(1009);
    expect(socket.closed).toBeNull();
    expect(await used()).toMatchObject({ state_requests: 1 + 2 + 1 });
  });

  test("closes with its namespace", async () => {
    const socket = await open();
    expect((await t.send("DELETE", `${NAMESPACES}/Room`, { account })).status).toBe(200);
    expect(await socket.untilClosed()).toEqual({ code: 1001, reason: "not_found" });
  });
});

describe("opening a socket", () => {
  const refused = (path: string, options: SocketOptions): Promise<unknown> =>
    openSocket(t, account, path, options).then(
      () => "opened",
      (error: unknown) => String(error),
    );

  test("takes a key as a header, or from a browser as a subprotocol", async () => {
    const key = await t.key("account", account);
    expect(await (await open(SOCKET, { headers: { authorization: `Bearer ${key}` } })).exchange(1)).toBe(1);
    expect(await (await open(SOCKET, { headers: {}, protocols: ["weir", `weir.key.${key}`] })).exchange(1)).toBe(1);
    const operator = { headers: {}, protocols: ["weir", `weir.key.${ADMIN_KEY}`] };
    expect(await (await open(`${SOCKET}?account=${account}`, operator)).exchange(1)).toBe(1);
  });

  test("refuses who has no key, may not write, or means what is not there", async () => {
    const headers = (key: string): SocketOptions => ({ headers: { authorization: `Bearer ${key}` } });
    expect(await refused(SOCKET, { headers: {} })).toContain("401");
    expect(await refused(SOCKET, { headers: {}, protocols: ["weir", "weir.key.wrong"] })).toContain("401");
    expect(await refused(SOCKET, headers(await t.key("read_only", account)))).toContain("403");
    expect(await refused(SOCKET, headers(await t.key("account", await t.newAccount())))).toContain("404");
    expect(await refused(`${NAMESPACES}/Hall/objects/room-1/socket`, {})).toContain("404");
    expect(await refused(`${NAMESPACES}/room/objects/room-1/socket`, {})).toContain("400");
    expect(await used()).toMatchObject({ state_requests: 1 });
  });

  test("needs a WebSocket; any other offer to upgrade is answered as it stands", async () => {
    expect(await t.send("GET", SOCKET, { account })).toMatchObject({ status: 400, body: { code: "bad_request" } });
    await open();
    const address = t.app.server.address();
    const socket = connect(typeof address === "object" ? (address?.port ?? 0) : 0, "127.0.0.1");
    socket.write(
      "GET /health HTTP/1.1\r\nhost: weir\r\nconnection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
    );
    let answer = "";
    socket.on("data", (chunk) => (answer += String(chunk)));
    await once(socket, "close");
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});
