import * as restate from "@restatedev/restate-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChildProcess } from "node:child_process";
import { gbMilliseconds } from "../../src/adapters/metered-call.ts";
import type { MeterPort } from "../../src/adapters/port.ts";
import { recountStorage, settleKilled } from "../../src/adapters/restate/reconcile.ts";
import { restateMeter, type RestateMeter } from "../../src/adapters/restate/restate.ts";
import { WeirError } from "../../src/kernel/errors.ts";
import { freePort } from "../../src/servers/process.ts";
import { startRoomProcess } from "./support/room-process.ts";
import { startRestate, type Answered, type RestateServer } from "./support/restate-server.ts";
import { payer } from "./support/restate-subject.ts";
import { openWeir, type Weir } from "./support/weir.ts";

/** Long enough for Restate to suspend a handler that waits, and to wake it. */
const NAP_MS = 300;
const SOON = { retryPolicy: { initialInterval: 10, maxInterval: 20 } };

interface Room {
  title: string;
  guests: number;
}

let weir: Weir;
let server: RestateServer;
let timed: RestateMeter;
let dataPlaneKey: string;
/** What a test puts in the place of the way to Weir, to cut it. */
let cut: Partial<MeterPort> = {};
/** What a handler of a test does once, by object. */
const once = new Map<string, () => void>();
const happenOnce = (key: string): void => {
  const happening = once.get(key);
  once.delete(key);
  happening?.();
};

beforeAll(async () => {
  [weir, server] = await Promise.all([openWeir(), startRestate()]);
  dataPlaneKey = await weir.key("data_plane");
  const through = new Proxy(weir.meter, { get: (port, name) => Reflect.get(cut, name) ?? Reflect.get(port, name) });
  const common = { meter: through, TerminalError: restate.TerminalError, account: payer, service: "rooms", duration: false };
  const measured = restateMeter({ ...common, adminUrl: server.adminUrl });
  const unmeasured = restateMeter(common);
  const perInvocation = restateMeter({ ...common, requestPer: "invocation" });
  timed = restateMeter({ ...common, duration: true });
  await server.deploy(
    rooms("Room", measured),
    rooms("LooseRoom", unmeasured),
    rooms("InvokedRoom", perInvocation),
    rooms("TimedRoom", timed),
    signup(measured),
  );
});
afterAll(() => Promise.all([server.stop(), weir.stop()]));

/** Every use of state that a Virtual Object has, and the ways in which an invocation can go wrong. */
function rooms<N extends string>(name: N, meter: ReturnType<typeof restateMeter>) {
  type Ctx = restate.ObjectContext<Room>;
  type Reader = restate.ObjectSharedContext<Room>;
  const everything = async (ctx: restate.ObjectContext): Promise<unknown> => {
    ctx.set("title", "Lobby");
    ctx.set("guests", 3);
    const title = await ctx.get<string>("title");
    const nothing = await ctx.get("nothing");
    const keys = (await ctx.stateKeys()).toSorted();
    ctx.clear("guests");
    ctx.clear("nothing");
    ctx.clearAll();
    return { title, nothing, keys };
  };
  const read = async (ctx: Reader): Promise<unknown> => ({
    title: await ctx.get("title"),
    guests: await ctx.get("guests"),
    keys: (await ctx.stateKeys()).toSorted(),
  });
  return restate.object({
    name,
    options: SOON,
    handlers: {
      everything: meter.handler(everything),
      everythingLazily: restate.createObjectHandler({ enableLazyState: true }, meter.handler(everything)),
      open: meter.handler(async (ctx: Ctx, room: Room) => {
        ctx.set("title", room.title);
        ctx.set("guests", room.guests);
      }),
      read: restate.createObjectSharedHandler(meter.shared(read)),
      readLazily: restate.createObjectSharedHandler({ enableLazyState: true }, meter.shared(read)),
      fill: meter.handler(async (ctx: restate.ObjectContext, { from = 0, to }: { from?: number; to: number }) => {
        for (let i = from; i < to; i++) ctx.set(`k${i}`, "v");
      }),
      fillDeclared: meter.handler(
        async (ctx: restate.ObjectContext) => {
          for (let i = 0; i < 5; i++) ctx.set(`k${i}`, "v");
        },
        { rowsWritten: 5, growthBytes: 100 },
      ),
      fillOnTheWay: meter.handler(async (ctx: restate.ObjectContext, to: number) => {
        ctx.set("first", 1);
        await meter.hold(ctx, { rowsWritten: to, growthBytes: 1_000 });
        for (let i = 0; i < to; i++) ctx.set(`k${i}`, "v");
      }),
      write: meter.handler(async (ctx: restate.ObjectContext, { key, bytes }: { key: string; bytes: number }) => {
        ctx.set(key, new Uint8Array(bytes), restate.serde.binary);
      }),
      readAll: meter.handler(async (ctx: restate.ObjectContext, times: number) => {
        let rows = 0;
        for (let i = 0; i < times; i++) rows += (await ctx.stateKeys()).length;
        return rows;
      }),
      fails: meter.handler(async (ctx: restate.ObjectContext) => {
        await everything(ctx);
        await ctx.run("step", () => 1);
        ctx.set("title", "Again");
        happenOnce(ctx.key);
      }),
      naps: restate.createObjectHandler(
        { inactivityTimeout: 0 },
        meter.handler(async (ctx: restate.ObjectContext) => {
          ctx.set("title", "Before");
          await ctx.sleep(NAP_MS);
          const title = await ctx.get<string>("title");
          ctx.set("title", "After");
          return title;
        }),
      ),
      hangs: meter.handler(async (ctx: restate.ObjectContext) => {
        await everything(ctx);
        ctx.set("title", "Half");
        await ctx.run("step", () => 1);
        happenOnce(ctx.key);
        await ctx.sleep(3_600_000);
      }),
      catches: meter.handler(async (ctx: restate.ObjectContext) => {
        for (let i = 0; i < 5; i++) {
          try {
            ctx.set(`k${i}`, "v");
          } catch (error) {
            return (error as restate.TerminalError).metadata;
          }
        }
        return null;
      }),
    },
  });
}

const signup = (meter: ReturnType<typeof restateMeter>) =>
  restate.workflow({
    name: "signup-flow.v2",
    options: SOON,
    handlers: {
      run: meter.handler(async (ctx: restate.WorkflowContext) => {
        ctx.set("step", "asked");
        const answer = await ctx.promise<string>("answer");
        ctx.set("step", answer);
        return answer;
      }),
      answer: meter.shared(async (ctx: restate.WorkflowSharedContext, answer: string) => {
        const step = await ctx.get<string>("step");
        await ctx.promise<string>("answer").resolve(answer);
        return step;
      }),
    },
  });

async function newRoom(plan = "pro"): Promise<{ account: string; room: string }> {
  const account = await weir.newAccount(plan);
  return { account, room: `${account}/room` };
}

const metadataOf = ({ body }: Answered) => (body as { metadata?: Record<string, string> }).metadata;

/** What Restate has stored. */
async function stored(service: string, key: string): Promise<Record<string, unknown>> {
  const rows = await server.sql(
    `SELECT key, value_utf8 FROM state WHERE service_name = '${service}' AND service_key = '${key}' ORDER BY key`,
  );
  return Object.fromEntries(rows.map((row) => [String(row["key"]), JSON.parse(String(row["value_utf8"])) as unknown]));
}

async function bytesOf(service: string, key: string): Promise<number> {
  const [row] = await server.sql(
    `SELECT SUM(key_length + value_length) AS bytes FROM state WHERE service_name = '${service}' AND service_key = '${key}'`,
  );
  return Number(row?.["bytes"] ?? 0);
}

const ended = async (id: string): Promise<void> => {
  const status = async () => (await server.sql(`SELECT status FROM sys_invocation WHERE id = '${id}'`))[0]?.["status"];
  await expect.poll(status).toBe("completed");
};

/** What Restate's own journal says was done to state. */
async function journaled(id: string): Promise<string[]> {
  const rows = await server.sql(`SELECT entry_type FROM sys_journal WHERE id = '${id}' ORDER BY index`);
  return rows.map((row) => String(row["entry_type"])).filter((type) => /^Command: (?:Set|Clear|Get)/.test(type));
}

describe("what operations count", () => {
  // set ×2, get hit, get miss, stateKeys of 2, clear, clear of nothing, clearAll of 1
  const exact = { requests: 8, rows_read: 3, rows_written: 4 };
  // Unmeasured, a clear of nothing is a row: nobody knows that there was none.
  const loose = { requests: 8, rows_read: 3, rows_written: 5 };
  test.each([
    ["Room", "everything", exact],
    ["Room", "everythingLazily", exact],
    ["LooseRoom", "everything", loose],
    ["LooseRoom", "everythingLazily", loose],
    ["InvokedRoom", "everything", { ...loose, requests: 1 }],
  ])("%s.%s", async (service, handler, counts) => {
    const { account, room } = await newRoom();
    const { status, body, id } = await server.call(service, room, handler);
    expect([status, body]).toEqual([200, { title: "Lobby", nothing: null, keys: ["guests", "title"] }]);
    expect(await weir.used(account)).toEqual(counts);
    expect(await journaled(id)).toHaveLength(8);
    expect(await weir.reserved(account)).toEqual({});
    expect(await weir.storedBytes(account)).toBe(0);
  });

  test.each(["read", "readLazily"])("a shared handler's %s", async (handler) => {
    const { account, room } = await newRoom();
    await server.call("Room", room, "open", { title: "Lobby", guests: 3 });
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 2 });
    const { body } = await server.call("Room", room, handler);
    expect(body).toEqual({ title: "Lobby", guests: 3, keys: ["guests", "title"] });
    expect(await weir.used(account)).toEqual({ requests: 5, rows_written: 2, rows_read: 4 });
  });

  test("a workflow's run and its shared handlers", async () => {
    const { account, room } = await newRoom();
    const id = await server.send("signup-flow.v2", room, "run");
    await expect.poll(() => stored("signup-flow.v2", room)).toEqual({ step: "asked" });
    expect((await server.call("signup-flow.v2", room, "answer", "yes")).body).toBe("asked");
    await ended(id);
    expect(await weir.used(account)).toEqual({ requests: 3, rows_read: 1, rows_written: 2 });
    expect(await weir.storedBytes(account)).toBe(await bytesOf("signup-flow.v2", room));
  });

  test("more reads than a hold has take another; writes must fit, or be declared on the way", async () => {
    const { account, room } = await newRoom();
    await server.call("Room", room, "fill", { to: 50 });
    expect((await server.call("Room", room, "readAll", 4)).body).toBe(200);
    expect(await weir.used(account)).toEqual({ requests: 54, rows_read: 200, rows_written: 50 });
    const { status, body } = await server.call("Room", room, "fill", { to: 65 });
    expect([status, body]).toMatchObject([429, { metadata: { meter: "state_requests" } }]);
    expect((await server.call("Room", room, "fillOnTheWay", 100)).status).toBe(200);
    expect(await weir.used(account)).toEqual({ requests: 54 + 64 + 101, rows_read: 200, rows_written: 50 + 64 + 101 });
    expect(await weir.reserved(account)).toEqual({});
  });
});

describe("a limit", () => {
  test("stops the write that would pass it, by a final error of Restate's own, and what was before it stays", async () => {
    const { account, room } = await newRoom("free");
    await weir.cap(account, "state_sqlite_rows_written", "day", 3);
    const { status, body, id } = await server.call("Room", room, "fill", { to: 5 });
    expect(status).toBe(429);
    expect(body).toMatchObject({
      message: expect.stringMatching(/^limit_exceeded: /),
      metadata: { code: "limit_exceeded", meter: "state_sqlite_rows_written", limit: "3", resetsAt: "2026-11-22T00:00:00.000Z" },
    });
    expect(Object.keys(await stored("Room", room))).toEqual(["k0", "k1", "k2"]);
    expect(await journaled(id)).toHaveLength(3);
    expect(await weir.used(account)).toEqual({ requests: 3, rows_written: 3 });
    expect(await weir.reserved(account)).toEqual({});
  });

  test("stops a handler that declares what it does before it begins", async () => {
    const { account, room } = await newRoom("free");
    await weir.cap(account, "state_sqlite_rows_written", "day", 4);
    const denied = await server.call("Room", room, "fillDeclared");
    expect([denied.status, metadataOf(denied)?.["meter"]]).toEqual([429, "state_sqlite_rows_written"]);
    expect(await stored("Room", room)).toEqual({});
    expect(await weir.used(account)).toEqual({});
    await weir.cap(account, "state_sqlite_rows_written", "day", 5);
    expect((await server.call("Room", room, "fillDeclared")).status).toBe(200);
    expect(await weir.used(account)).toEqual({ requests: 5, rows_written: 5 });
  });

  test("is an error that a handler may catch and answer", async () => {
    const { account, room } = await newRoom("free");
    await weir.cap(account, "state_requests", "day", 2);
    const { status, body } = await server.call("Room", room, "catches");
    expect([status, body]).toMatchObject([200, { meter: "state_requests" }]);
    expect(await weir.used(account)).toEqual({ requests: 2, rows_written: 2 });
  });

  test("of requests stops an invocation where that is the request", async () => {
    const { account, room } = await newRoom("free");
    await weir.cap(account, "state_requests", "day", 1);
    expect((await server.call("InvokedRoom", room, "fill", { to: 3 })).status).toBe(200);
    expect((await server.call("InvokedRoom", room, "fill", { from: 3, to: 4 })).status).toBe(429);
    expect(Object.keys(await stored("InvokedRoom", room))).toEqual(["k0", "k1", "k2"]);
    expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 3 });
  });

  test("of duration stops an invocation before it does anything", async () => {
    const { account, room } = await newRoom("free");
    await weir.cap(account, "state_duration_gb_milliseconds", "day", 0);
    const { status, body } = await server.call("TimedRoom", room, "fill", { to: 1 });
    expect([status, body]).toMatchObject([429, { metadata: { meter: "state_duration_gb_milliseconds" } }]);
    expect([await stored("TimedRoom", room), await weir.used(account), await weir.reserved(account)]).toEqual([{}, {}, {}]);
  });

  test("of bytes stops growth, and neither an overwrite nor a removal", async () => {
    const { account, room } = await newRoom("free");
    const write = (key: string, bytes: number) => server.call("Room", room, "write", { key, bytes });
    expect((await write("a", 99)).status).toBe(200);
    await weir.cap(account, "state_sqlite_storage_bytes", "day", 150);
    expect((await write("a", 99)).status).toBe(200);
    expect((await write("b", 49)).status).toBe(200);
    expect(await weir.storedBytes(account)).toBe(150);
    const denied = await write("c", 0);
    expect([denied.status, metadataOf(denied)?.["meter"]]).toEqual([429, "state_sqlite_storage_bytes"]);
    expect((await write("a", 9)).status).toBe(200);
    expect(await weir.storedBytes(account)).toBe(60);
    expect(await weir.storedBytes(account)).toBe(await bytesOf("Room", room));
  });

  test("of one write is 2 MiB of key and value", async () => {
    const { account, room } = await newRoom();
    expect((await server.call("Room", room, "write", { key: "a", bytes: 2_097_151 })).status).toBe(200);
    const denied = await server.call("Room", room, "write", { key: "b", bytes: 2_097_152 });
    expect([denied.status, metadataOf(denied)?.["code"]]).toEqual([413, "payload_too_large"]);
    expect(await weir.used(account)).toEqual({ requests: 1, rows_written: 1 });
  });
});

describe("counted once", () => {
  const counts = { requests: 9, rows_read: 3, rows_written: 5 };

  test("a handler that fails and is replayed three times", async () => {
    const { account, room } = await newRoom();
    let attempts = 0;
    const fail = (): void => {
      attempts++;
      if (attempts < 4) once.set(room, fail);
      throw new Error("not yet");
    };
    once.set(room, fail);
    const { status, id } = await server.call("Room", room, "fails");
    expect([status, attempts]).toEqual([200, 4]);
    expect(await weir.used(account)).toEqual(counts);
    expect(await journaled(id)).toHaveLength(counts.requests);
  });

  test("a handler that is suspended and resumed", async () => {
    const { account, room } = await newRoom();
    const { body, id } = await server.call("Room", room, "naps");
    expect(body).toBe("Before");
    expect(await weir.used(account)).toEqual({ requests: 3, rows_read: 1, rows_written: 2 });
    expect(await journaled(id)).toHaveLength(3);
  });

  test("a handler whose settlement was answered and not heard, and is replayed", async () => {
    const { account, room } = await newRoom();
    let settlements = 0;
    cut = {
      settle: async (...actual) => {
        const settled = await weir.meter.settle(...actual);
        if (++settlements < 4) throw new Error("the answer is lost");
        return settled;
      },
    };
    expect((await server.call("Room", room, "everything")).status).toBe(200);
    cut = {};
    expect(settlements).toBe(4);
    expect(await weir.used(account)).toEqual({ requests: 8, rows_read: 3, rows_written: 4 });
  });

  test("a handler whose hold has expired when it settles", async () => {
    const { account, room } = await newRoom();
    once.set(room, () => weir.clock.advance(601_000));
    expect((await server.call("Room", room, "fails")).status).toBe(200);
    expect(await weir.used(account)).toEqual(counts);
    expect(await weir.reserved(account)).toEqual({});
    expect(await weir.storedBytes(account)).toBe(await bytesOf("Room", room));
  });

  test.each([
    ["while its hold lasts", 0],
    ["after its hold has expired", 601_000],
  ])("an invocation that was killed, reconciled from its journal %s", async (_, laterMs) => {
    const { account, room } = await newRoom();
    const hanging = new Promise<void>((resolve) => once.set(room, resolve));
    const id = await server.send("Room", room, "hangs");
    await hanging;
    await expect.poll(() => stored("Room", room)).toEqual({ title: "Half" });
    await server.kill(id);
    await ended(id);
    expect(await weir.used(account)).toEqual({});
    weir.clock.advance(laterMs);
    const options = {
      meter: weir.meter,
      TerminalError: restate.TerminalError,
      account: payer,
      service: "rooms",
      adminUrl: server.adminUrl,
    };
    for (let i = 0; i < 2; i++) expect(await settleKilled({ ...options, services: ["Room"] })).toBeGreaterThan(0);
    expect(await weir.used(account)).toEqual(counts);
    expect(await weir.reserved(account)).toEqual({});
    expect(await weir.storedBytes(account)).toBe(await bytesOf("Room", room));
  });

  test("a handler whose process is killed half-way, and another goes on", async () => {
    const { account, room } = await newRoom();
    const port = await freePort();
    const start = (hangs: boolean): Promise<ChildProcess> =>
      startRoomProcess({ port, hangs, weir: weir.url, key: dataPlaneKey, admin: server.adminUrl });
    const first = await start(true);
    await server.register(`http://127.0.0.1:${port}`);
    const id = await server.send("ProcessRoom", room, "halfway");
    await expect.poll(() => stored("ProcessRoom", room)).toEqual({ a: 1, b: 2 });
    first.kill("SIGKILL");
    const second = await start(false);
    await ended(id);
    second.kill("SIGKILL");
    expect(await stored("ProcessRoom", room)).toEqual({ a: 1, b: 2, c: 3 });
    expect(await weir.used(account)).toEqual({ requests: 4, rows_read: 1, rows_written: 3 });
    expect(await journaled(id)).toHaveLength(4);
  });
});

describe("time in memory", () => {
  test("is of every attempt, and not of what Restate suspends", async () => {
    const { account, room } = await newRoom();
    await server.call("TimedRoom", room, "naps");
    await timed.idle();
    const { duration_gb_milliseconds: duration = 0 } = await weir.used(account);
    expect(duration).toBeGreaterThan(0);
    expect(duration).toBeLessThan(gbMilliseconds(NAP_MS));
  });
});

describe("when Weir is away", () => {
  test("nothing is written, and the error is final", async () => {
    const { account, room } = await newRoom();
    cut = { reserve: () => Promise.reject(new WeirError("unavailable", "no answer")) };
    const { status, body } = await server.call("Room", room, "fill", { to: 1 });
    cut = {};
    expect([status, body]).toMatchObject([503, { metadata: { code: "unavailable" } }]);
    expect([await stored("Room", room), await weir.used(account)]).toEqual([{}, {}]);
  });
});

describe("stored bytes", () => {
  test("are put right from the state table: unmeasured overwrites, edits out of band, what was cleared", async () => {
    const { account, room } = await newRoom();
    const options = {
      meter: weir.meter,
      TerminalError: restate.TerminalError,
      account: payer,
      service: "rooms",
      adminUrl: server.adminUrl,
    };
    const recount = () => recountStorage({ ...options, services: ["LooseRoom"] });
    for (let i = 0; i < 2; i++) await server.call("LooseRoom", room, "write", { key: "a", bytes: 99 });
    expect(await weir.storedBytes(account)).toBe(200);
    await recount();
    expect(await weir.storedBytes(account)).toBe(100);
    await server.edit("LooseRoom", room, { a: "x".repeat(10), b: "y".repeat(20) });
    await expect.poll(() => bytesOf("LooseRoom", room)).toBe(32);
    await recount();
    expect(await weir.storedBytes(account)).toBe(32);
    await server.edit("LooseRoom", room, {});
    await expect.poll(() => bytesOf("LooseRoom", room)).toBe(0);
    await recount();
    expect(await weir.storedBytes(account)).toBe(0);
  });
});

test("a handler that is made already cannot be metered any more", () => {
  const made = restate.createObjectSharedHandler(async (ctx: restate.ObjectSharedContext) => ctx.key);
  expect(() => timed.shared(made)).toThrow("Meter the function, then make a handler of it");
});
