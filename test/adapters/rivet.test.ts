import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { gbMilliseconds } from "../../src/adapters/metered-call.ts";
import type { MeterPort } from "../../src/adapters/port.ts";
import { WeirError } from "../../src/kernel/errors.ts";
import { startRivetEngine, type RivetEngine } from "./support/rivet-engine.ts";
import { clientOf, once, registryOf, type Rooms } from "./support/rivet-rooms.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
let engine: RivetEngine;
let registry: Rooms;
let client: ReturnType<typeof clientOf>;
/** What a test puts in the place of the way to Weir, to cut it. */
let cut: Partial<MeterPort> = {};

beforeAll(async () => {
  [weir, engine] = await Promise.all([openWeir(), startRivetEngine()]);
  const meter = new Proxy(weir.meter, { get: (port, name) => Reflect.get(cut, name) ?? Reflect.get(port, name) });
  registry = registryOf(engine.endpoint, { meter });
  await registry.startAndWait();
  client = clientOf(engine.endpoint);
});
afterEach(() => {
  cut = {};
});
afterAll(async () => {
  await client.dispose();
  await registry.shutdown();
  await Promise.all([engine.stop(), weir.stop()]);
});

type Kind = "room" | "perOperation" | "declared" | "timed" | "strict" | "keyed";

async function newRoom(kind: Kind = "room", plan = "pro") {
  const account = await weir.newAccount(plan);
  return { account, room: client[kind].getOrCreate([account, "lobby"]) };
}

/** Codes of the ecosystem's own error, as the client sees it. */
const denied = (code: string, meter?: string) =>
  expect.objectContaining({ group: "user", code, ...(meter === undefined ? {} : { metadata: expect.objectContaining({ meter }) }) });

async function openSocket(room: RoomHandle): Promise<WebSocket> {
  const socket = await room.webSocket("/");
  if (socket.readyState !== WebSocket.OPEN) await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
  return socket;
}

/** Says something and waits for the answer. */
function say(socket: WebSocket, text: string): Promise<void> {
  const answered = new Promise<void>((resolve) => socket.addEventListener("message", () => resolve(), { once: true }));
  socket.send(text);
  return answered;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const refused = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

type RoomHandle = Awaited<ReturnType<typeof newRoom>>["room"];

/** What an action does, what it counts beside the request that it is, and how many operations that were. Done in order by one actor. */
const table: [what: string, act: (room: RoomHandle) => Promise<unknown>, counts: object, operations: number][] = [
  ["an action that does nothing", (r) => r.nothing(), {}, 0],
  ["c.vars", (r) => r.see(), {}, 0],
  ["c.state, read", (r) => r.state(), {}, 0],
  ["c.state, changed twice in one action", (r) => r.join("ann"), { rows_written: 1 }, 1],
  ["c.state, changed in two ticks", (r) => r.noteTwice(), { rows_written: 1 }, 1],
  ["c.state, replaced", (r) => r.replace({ guests: 1, names: [], notes: {} }), { rows_written: 1 }, 1],
  ["c.state, a member deleted", (r) => r.forget("nobody"), { rows_written: 1 }, 1],
  ["c.saveState", (r) => r.noteAndSave("a"), { rows_written: 1 }, 1],
  ["c.db.execute, of nothing", (r) => r.sql("SELECT * FROM visits"), {}, 1],
  ["c.db.execute, an insert", (r) => r.sql("INSERT INTO visits (name) VALUES ('a')"), { rows_written: 1 }, 1],
  ["c.db.execute, with bindings", (r) => r.sqlWith("INSERT INTO visits (name) VALUES (?), (?)", "b", "c"), { rows_written: 2 }, 1],
  ["c.db.execute, returning", (r) => r.sql("INSERT INTO visits (name) VALUES ('d') RETURNING id"), { rows_written: 1, rows_read: 1 }, 1],
  ["c.db.execute, a select", (r) => r.sql("-- all\nSELECT * FROM visits"), { rows_read: 4 }, 1],
  ["c.db.execute, a table made", (r) => r.sql("CREATE TABLE pets (name TEXT)"), {}, 1],
  [
    "c.db.execute, many statements in one text",
    (r) => r.sql("INSERT INTO pets VALUES ('x'); INSERT INTO pets VALUES ('y'); SELECT * FROM pets"),
    { rows_written: 2, rows_read: 2 },
    1,
  ],
  [
    "c.db.execute, a CTE that writes",
    (r) => r.sql("WITH n(i) AS (VALUES (1), (2)) INSERT INTO pets SELECT i FROM n"),
    { rows_written: 2 },
    1,
  ],
  [
    "c.db.execute, a trigger",
    (r) =>
      r.sqlInOrder(
        "CREATE TRIGGER logged AFTER INSERT ON pets BEGIN INSERT INTO marks VALUES (1); END",
        "INSERT INTO pets VALUES ('p'), ('q')",
      ),
    { rows_written: 4 },
    2,
  ],
  [
    "c.db.transaction",
    (r) =>
      r.inOne("INSERT INTO visits (name) VALUES ('e')", "SELECT * FROM visits WHERE name = 'e'", "DELETE FROM visits WHERE name = 'e'"),
    { rows_written: 2, rows_read: 1 },
    3,
  ],
  ["c.db.transaction, rolled back: what was read counts", (r) => r.abandon(), { rows_read: 2 }, 2],
  ["c.kv.put", (r) => r.kvPut("a", "1"), { rows_written: 1 }, 1],
  ["c.kv.get, a hit", (r) => r.kvGet("a"), { rows_read: 1 }, 1],
  ["c.kv.list, of one", (r) => r.kvList(), { rows_read: 1 }, 1],
  ["c.kv.delete, a hit", (r) => r.kvDelete("a"), { rows_written: 1 }, 1],
  ["c.kv.get, a miss", (r) => r.kvGet("a"), {}, 1],
  ["c.kv.delete, a miss", (r) => r.kvDelete("a"), {}, 1],
  ["c.kv.list, of nothing", (r) => r.kvList(), { rows_read: 1 }, 1],
  // batchPut 2, batchGet 1 of 2, batchDelete 1 of 2
  ["c.kv, in batches", (r) => r.kvBatch().then((found) => expect(found).toBe(1)), { rows_written: 3, rows_read: 1 }, 3],
  // put ×2, listRange 2, listPrefix 2, deleteRange 2, listPrefix of nothing
  ["c.kv, ranges", (r) => r.kvRange().then((listed) => expect(listed).toEqual([2, 2, 0])), { rows_written: 4, rows_read: 5 }, 6],
  ["c.schedule.list and get, of nothing", (r) => r.planned("none"), { rows_read: 2 }, 2],
  ["c.schedule.after", (r) => r.plan(3_600_000), { rows_written: 1 }, 1],
  ["c.schedule.at", (r) => r.planAt(Date.now() + 3_600_000), { rows_written: 1 }, 1],
  ["c.schedule.list of two and get", (r) => r.planned("none"), { rows_read: 3 }, 2],
  ["c.schedule.cancel", (r) => r.cancel("00000000-0000-0000-0000-000000000000"), { rows_written: 1 }, 1],
  // every, set, list of 2, get, history of none, delete
  ["c.cron", (r) => r.cron(), { rows_written: 3, rows_read: 4 }, 6],
  ["c.broadcast", (r) => r.announce(), {}, 0],
  ["a nested action", (r) => r.action({ name: "deep.inside", args: [] }), {}, 0],
];

describe("what operations count", () => {
  describe.each([
    ["an action being the request", "room"],
    ["every operation being one", "perOperation"],
  ] as const)("%s", (_, kind) => {
    let made: Promise<Awaited<ReturnType<typeof newRoom>>> | null = null;
    test.each(table)("%s", async (__, act, counts, operations) => {
      made ??= newRoom(kind);
      const { account, room } = await made;
      const from = await weir.used(account);
      await act(room);
      const moved = Object.entries(await weir.used(account)).map(([meter, n]) => [meter, n - (from[meter] ?? 0)] as const);
      const requests = kind === "room" ? 1 : operations;
      expect(Object.fromEntries(moved.filter(([, n]) => n > 0))).toEqual({ ...(requests > 0 ? { requests } : {}), ...counts });
      expect(await weir.reserved(account)).toEqual({});
    });
  });

  test.each([
    ["room", { requests: 2, rows_written: 1 }],
    ["perOperation", { requests: 2, rows_written: 1 }],
  ] as const)("a scheduled action's firing is a request (%s)", async (kind, counts) => {
    const { account, room } = await newRoom(kind);
    const fired = new Promise<void>((resolve) => once.set(`${account}/lobby`, resolve));
    await room.plan(50);
    await fired;
    await expect.poll(() => weir.used(account)).toEqual(counts);
  });

  test("more than a hold is another hold", async () => {
    const { account, room } = await newRoom("perOperation");
    const inserts = Array.from({ length: 100 }, (_, i) => `INSERT INTO marks VALUES (${i})`);
    await room.sql(...inserts);
    await room.sql("SELECT * FROM marks");
    expect(await weir.used(account)).toEqual({ requests: 101, rows_written: 100, rows_read: 100 });
    expect(await weir.reserved(account)).toEqual({});
  });

  test("hooks, requests and what an action leaves behind count operation by operation", async () => {
    const { account, room } = await newRoom("perOperation");
    const connection = client.perOperation.getOrCreate([account, "lobby"], { params: { tell: true } }).connect();
    await connection.nothing();
    await connection.dispose();
    expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
    expect(await (await room.fetch("/visits")).text()).toBe("0");
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 1 });
    const left = new Promise<void>((resolve) => once.set(`${account}/lobby`, resolve));
    await room.linger();
    await left;
    await expect.poll(() => weir.used(account)).toEqual({ requests: 3, rows_written: 2 });
  });

  test("a request and a WebSocket are requests, and 20 of its messages are another", async () => {
    const { account, room } = await newRoom();
    await room.fetch("/visits");
    expect(await weir.used(account)).toEqual({ requests: 1 });
    const socket = await openSocket(room);
    await expect.poll(() => weir.used(account)).toEqual({ requests: 2 });
    for (let i = 0; i < 20; i++) await say(socket, "hello");
    await expect.poll(() => weir.used(account)).toEqual({ requests: 3 });
    await say(socket, "write");
    await expect.poll(() => weir.used(account)).toEqual({ requests: 4, rows_written: 1 });
    await weir.cap(account, "state_requests", "day", 4);
    for (let i = 0; i < 19; i++) await say(socket, "hello");
    const closed = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code), { once: true }));
    socket.send("one more");
    expect(await closed).toBe(1008);
  });

  test("time awake is duration, and what is asleep is not", async () => {
    const { account, room } = await newRoom("timed");
    const duration = async () => (await weir.used(account))["duration_gb_milliseconds"] ?? 0;
    await room.nothing();
    const from = await duration();
    expect(from).toBeGreaterThan(0);
    await pause(300);
    const asleep = new Promise<void>((resolve) => once.set(`${account}/lobby/asleep`, resolve));
    await room.sleep();
    await asleep;
    await expect.poll(async () => (await duration()) - from).toBeGreaterThanOrEqual(gbMilliseconds(300));
    await pause(100);
    const till = await duration();
    await pause(300);
    expect(await duration()).toBe(till);
    await room.nothing();
    expect((await duration()) - till).toBeLessThan(gbMilliseconds(5_000));
  });

  test("stored bytes are the size of the actor's database, or of the state where there is none", async () => {
    const { account, room } = await newRoom();
    await room.sql("INSERT INTO visits (name) VALUES (hex(randomblob(40000)))");
    const bytes = await room.measure();
    expect(bytes).toBeGreaterThan(150_000);
    expect(await weir.storedBytes(account)).toBe(bytes);
    const other = await weir.newAccount();
    const plain = client.plain.getOrCreate([other, "lobby"]);
    await plain.note("a", "hello");
    expect(await weir.storedBytes(other)).toBe(JSON.stringify({ guests: 0, names: [], notes: { a: "hello" } }).length);
  });
});

test("what Drizzle does with the database counts as well, and is rolled back", async () => {
  const account = await weir.newAccount("free");
  const room = client.drizzled.getOrCreate([account, "lobby"]);
  await room.visit("ann", "bob");
  expect(await room.visitsOf("ann")).toEqual([{ id: 1, name: "ann" }]);
  await room.visitInOne("cid", "dan");
  expect(await weir.used(account)).toEqual({ requests: 4, rows_written: 4, rows_read: 1 });
  await weir.cap(account, "state_sqlite_rows_written", "day", 5);
  expect(await refused(room.visit("eve", "fay"))).toEqual(denied("limit_exceeded", "state_sqlite_rows_written"));
  expect(await refused(room.visitInOne("eve", "fay"))).toEqual(denied("limit_exceeded", "state_sqlite_rows_written"));
  expect(await room.visitsOf("eve")).toEqual([]);
  expect(await weir.used(account)).toEqual({ requests: 5, rows_written: 4, rows_read: 1 });
});

test("a provider's own work with the native database counts as well, and is rolled back", async () => {
  const account = await weir.newAccount("free");
  const room = client.native.getOrCreate([account, "lobby"]);
  const steps: [what: string, act: () => Promise<unknown>, counts: object][] = [
    ["run", () => room.run("INSERT INTO marks VALUES (?)", 1), { requests: 1, rows_written: 1 }],
    ["query", () => room.query("SELECT * FROM marks"), { requests: 1, rows_read: 1 }],
    [
      "exec",
      () => room.exec("INSERT INTO marks VALUES (2); INSERT INTO marks VALUES (3); SELECT * FROM marks"),
      { requests: 1, rows_read: 3, rows_written: 2 },
    ],
    [
      "executeBatch",
      () => room.batch("INSERT INTO marks VALUES (4)", "SELECT * FROM marks"),
      { requests: 2, rows_read: 4, rows_written: 1 },
    ],
    [
      "commit",
      () => room.begin("commit", "INSERT INTO marks VALUES (5)", "SELECT * FROM marks"),
      { requests: 2, rows_read: 5, rows_written: 1 },
    ],
    ["rollback", () => room.begin("rollback", "INSERT INTO marks VALUES (6)", "SELECT * FROM marks"), { requests: 2, rows_read: 6 }],
  ];
  for (const [what, act, counts] of steps) {
    const from = await weir.used(account);
    await act();
    const moved = Object.entries(await weir.used(account)).map(([meter, n]) => [meter, n - (from[meter] ?? 0)] as const);
    expect(Object.fromEntries(moved.filter(([, n]) => n > 0)), what).toEqual(counts);
  }
  await weir.cap(account, "state_sqlite_rows_written", "day", 6);
  const two = ["INSERT INTO marks VALUES (7)", "INSERT INTO marks VALUES (8)"] as const;
  for (const act of [() => room.batch(...two), () => room.exec(two.join(";")), () => room.begin("commit", ...two)])
    expect(await refused(act()), String(act)).toEqual(denied("limit_exceeded", "state_sqlite_rows_written"));
  expect(await room.query("SELECT * FROM marks")).toBe(5);
  expect((await weir.used(account))["rows_written"]).toBe(5);
  expect(await weir.reserved(account)).toEqual({});
});

describe("counted once", () => {
  test("an action that a client repeats under its own key", async () => {
    const { account, room } = await newRoom("keyed");
    for (let i = 0; i < 2; i++) await room.note("key-1", "hello");
    await room.note("key-2", "hello");
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 2 });
  });

  test("an action whose settlement was answered and not heard", async () => {
    const { account, room } = await newRoom("strict");
    cut = {
      settle: async (...actual) => {
        await weir.meter.settle(...actual);
        throw new WeirError("unavailable", "the answer is lost");
      },
    };
    await room.sql("INSERT INTO visits (name) VALUES ('a')");
    cut = {};
    await room.sql("SELECT * FROM visits");
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 1, rows_read: 1 });
  });

  test("an action whose hold has expired when it settles", async () => {
    const { account, room } = await newRoom();
    once.set(`${account}/lobby`, () => weir.clock.advance(601_000));
    await room.halfway();
    expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
    expect(await weir.reserved(account)).toEqual({});
  });

  test("a change of state that no action makes", async () => {
    const { account, room } = await newRoom();
    await room.lingerWithState();
    await expect.poll(() => weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
  });
});

describe("when Weir is away", () => {
  const away = (): Promise<never> => Promise.reject(new WeirError("unavailable", "no answer"));

  test("an action does nothing", async () => {
    const { account, room } = await newRoom();
    cut = { reserve: away };
    expect(await refused(room.join("ann"))).toEqual(denied("unavailable"));
    cut = {};
    expect(await room.state()).toEqual({ guests: 0, names: [], notes: {} });
    expect(await weir.used(account)).toEqual({ requests: 1 });
  });

  test("an action that was done is not acknowledged", async () => {
    const { account, room } = await newRoom();
    cut = { settle: away };
    expect(await refused(room.join("ann"))).toEqual(denied("unavailable"));
    expect(await weir.used(account)).toEqual({});
  });

  test.each([
    ["wrote to its database", (r: RoomHandle) => r.sql("INSERT INTO visits (name) VALUES ('a')")],
    ["changed its state", (r: RoomHandle) => r.join("ann")],
  ])("with the outbox an action that %s is acknowledged, and counted once Weir is back", async (_, act) => {
    const { account, room } = await newRoom("strict");
    cut = { settle: away };
    await act(room);
    expect(await weir.used(account)).toEqual({});
    cut = {};
    await room.nothing();
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 1 });
    expect(await room.sql("SELECT * FROM _weir_outbox")).toEqual([[]]);
  });
});

test("a transaction that includes the state is refused: it would pass the meter by", async () => {
  const { account, room } = await newRoom();
  expect(await refused(room.withState())).not.toBeNull();
  expect(await weir.used(account)).toEqual({ requests: 1 });
});

describe("a limit", () => {
  test("of requests stops an action before it begins", async () => {
    const { account, room } = await newRoom("room", "free");
    await weir.cap(account, "state_requests", "day", 1);
    await room.join("ann");
    expect(await refused(room.join("bob"))).toEqual(denied("limit_exceeded", "state_requests"));
    await weir.cap(account, "state_requests", "day", 2);
    expect(await room.state()).toEqual({ guests: 1, names: ["ann"], notes: {} });
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 1 });
  });

  test("of rows stops a change of state before it is made", async () => {
    const { account, room } = await newRoom("room", "free");
    await weir.cap(account, "state_sqlite_rows_written", "day", 1);
    await room.join("ann");
    expect(await refused(room.join("bob"))).toEqual(denied("limit_exceeded", "state_sqlite_rows_written"));
    expect(await room.noteUnlessDenied()).toEqual(["limit_exceeded", 1]);
    expect(await room.state()).toEqual({ guests: 1, names: ["ann"], notes: {} });
    expect(await weir.used(account)).toEqual({ requests: 4, rows_written: 1 });
  });

  test.each([
    ["a statement", (r: RoomHandle) => r.sql("INSERT INTO visits (name) VALUES ('a'), ('b'), ('c')")],
    [
      "a transaction",
      (r: RoomHandle) => r.inOne("INSERT INTO visits (name) VALUES ('a'), ('b')", "INSERT INTO visits (name) VALUES ('c')"),
    ],
    ["many statements", (r: RoomHandle) => r.sql("INSERT INTO visits (name) VALUES ('a'); INSERT INTO visits (name) VALUES ('b'), ('c')")],
  ])("of rows rolls %s back", async (_, act) => {
    const { account, room } = await newRoom("room", "free");
    await weir.cap(account, "state_sqlite_rows_written", "day", 2);
    expect(await refused(act(room))).toEqual(denied("limit_exceeded", "state_sqlite_rows_written"));
    expect(await room.sql("SELECT * FROM visits")).toEqual([[]]);
    await weir.cap(account, "state_sqlite_rows_written", "day", 3);
    await act(room);
    expect(await weir.used(account)).toEqual({ requests: 3, rows_written: 3 });
  });

  test("of rows read keeps rows back", async () => {
    const { account, room } = await newRoom("room", "free");
    await room.sql("INSERT INTO visits (name) VALUES ('a'), ('b'), ('c')");
    await weir.cap(account, "state_sqlite_rows_read", "day", 2);
    expect(await refused(room.sql("SELECT * FROM visits"))).toEqual(denied("limit_exceeded", "state_sqlite_rows_read"));
    expect(await refused(room.sql("SELECT * FROM visits LIMIT 2"))).toBeNull();
    expect(await weir.used(account)).toEqual({ requests: 3, rows_written: 3, rows_read: 2 });
  });

  test.each([
    ["c.kv", (r: RoomHandle) => r.kvPut("a", "1"), (r: RoomHandle) => r.kvGet("a"), null],
    ["c.schedule", (r: RoomHandle) => r.plan(3_600_000), (r: RoomHandle) => r.planned("none"), [0, undefined]],
  ])("of rows stops a write to %s", async (_, write, read, nothing) => {
    const { account, room } = await newRoom("room", "free");
    await weir.cap(account, "state_sqlite_rows_written", "day", 0);
    expect(await refused(write(room))).toEqual(denied("limit_exceeded", "state_sqlite_rows_written"));
    expect(await read(room)).toEqual(nothing);
  });

  test("of bytes rolls growth back, and lets what shrinks pass", async () => {
    const { account, room } = await newRoom("room", "free");
    await room.sql("INSERT INTO visits (name) VALUES (hex(randomblob(20000)))");
    const bytes = await room.measure();
    await weir.cap(account, "state_sqlite_storage_bytes", "day", bytes + 8_192);
    expect(await refused(room.sql("INSERT INTO visits (name) VALUES (hex(randomblob(20000)))"))).toEqual(
      denied("limit_exceeded", "state_sqlite_storage_bytes"),
    );
    expect(await room.sql("SELECT count(*) AS n FROM visits")).toEqual([[{ n: 1 }]]);
    expect(await refused(room.sql("DELETE FROM visits"))).toBeNull();
    expect(await room.measure()).toBe(bytes);
  });

  test("of one write holds the state to 2 MiB", async () => {
    const { account, room } = await newRoom();
    await room.grow(2_000_000);
    expect(await refused(room.grow(2_097_152))).toEqual(denied("payload_too_large"));
    expect(await room.largest()).toBe(2_000_000);
    expect(await weir.used(account)).toEqual({ requests: 3, rows_written: 1 });
  });

  test("stops an action that declares what it does before it begins", async () => {
    const { account, room } = await newRoom("declared", "free");
    await weir.cap(account, "state_sqlite_rows_written", "day", 1);
    expect(await refused(room.inOne("INSERT INTO visits (name) VALUES ('a')"))).toEqual(
      denied("limit_exceeded", "state_sqlite_rows_written"),
    );
    expect(await weir.used(account)).toEqual({});
  });

  test("of duration stops an action", async () => {
    const { account, room } = await newRoom("timed", "free");
    await weir.cap(account, "state_duration_gb_milliseconds", "day", 0);
    expect(await refused(room.join("ann"))).toEqual(denied("limit_exceeded", "state_duration_gb_milliseconds"));
    expect(await weir.used(account)).toEqual({});
  });
});
