import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import fc from "fast-check";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { isRejected, readEvent } from "../../../src/gate/event.ts";
import { dateEvents, type DatedEvent } from "../../../src/gate/event-lines.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { DAY_MS, iso } from "../../../src/kernel/window.ts";
import { forgetEventKeys, type EventLine } from "../../../src/ledger/event-store.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

const OPERATOR = { account: null };

let stack: TestStack;
/** Two processes' worth, the second behind a wire that can be cut. */
let engine: Engine;
let distant: Engine;
let wire: Wire;
let sql: postgres.Sql;
let accounts = 0;
const clock = new ManualClock("2026-11-21T12:00:00.000Z");

beforeAll(async () => {
  stack = await createTestStack();
  wire = await openWire(stack.redisServer);
  const options = { databaseUrl: stack.databaseUrl, redisPrefix: stack.keyPrefix, clock, redisTimeoutMs: 5_000 };
  engine = await createEngine({ ...options, redisUrl: stack.redisServer });
  distant = await createEngine({ ...options, redisUrl: wire.url });
  sql = postgres(stack.databaseUrl, { max: 3, onnotice: () => {} });
});
afterAll(async () => {
  await engine.close();
  await distant.close();
  await sql.end();
  wire.close();
  await stack.stop();
});

async function newAccount(): Promise<string> {
  const account = `acct_faults_${++accounts}`;
  await engine.limits.putAccount(account, { plan: "pro" }, clock.now());
  return account;
}

const event = (account: string, id: string, requests = 1) => ({
  specversion: "1.0",
  type: "weir.usage",
  source: `faults/${account}`,
  id,
  subject: account,
  data: { service: "api", usage: { state_requests: requests } },
});

const used = async (account: string, by = engine): Promise<number | undefined> =>
  (await by.usage(account)).usage.meters.month["state_requests"];
const consume = (account: string) => engine.gate.check({ account, usage: { state_requests: 1 } }, clock.now());

async function record(by: Engine, ...events: unknown[]) {
  return by.recordEvents(events, OPERATOR);
}

describe("10,000 copies", () => {
  it("of one event count once, alone and in batches, through two processes at once", async () => {
    const account = await newAccount();
    await consume(account);
    const requests = [...Array.from({ length: 9 }, () => 1_000), ...Array.from({ length: 1_000 }, () => 1)];
    const shuffled = fc.sample(fc.shuffledSubarray(requests, { minLength: requests.length }), { numRuns: 1, seed: 20_261_121 })[0] ?? [];
    const answers = await Promise.all(
      shuffled.map((copies, i) =>
        record(i % 2 === 0 ? engine : distant, ...Array.from({ length: copies }, () => event(account, "the one", 7))),
      ),
    );
    expect(answers.reduce((sum, a) => sum + a.accepted, 0)).toBe(1);
    expect(answers.reduce((sum, a) => sum + a.duplicates, 0)).toBe(9_999);
    expect(answers.flatMap((a) => a.rejected)).toEqual([]);
    expect([await used(account), await used(account, distant)]).toEqual([8, 8]);
  });

  it("of many events of several accounts, in any order, wait for nobody for ever and count once each", async () => {
    const own = await Promise.all([newAccount(), newAccount(), newAccount()]);
    for (const account of own) await consume(account);
    const events = own.flatMap((account) => Array.from({ length: 100 }, (_, i) => event(account, `e${i}`, i + 1)));
    const orders = fc.sample(fc.shuffledSubarray(events, { minLength: 150 }), { numRuns: 40, seed: 7 });
    const answers = await Promise.all([...orders, events].map((order, i) => record(i % 2 === 0 ? engine : distant, ...order)));
    expect(answers.reduce((sum, a) => sum + a.accepted, 0)).toBe(300);
    for (const account of own) expect(await used(account)).toBe(5_050 + 1);
  });
});

/** What the limits stand at in Redis, as a check sees it; a report of usage would tell Redis what it has not heard. */
async function standing(account: string): Promise<number | undefined> {
  const { meters } = await engine.gate.check({ account, usage: { state_requests: 0 }, mode: "peek" }, clock.now());
  return meters["state_requests"]?.used;
}

describe("a Redis", () => {
  it("that has lost everything changes nothing", async () => {
    const account = await newAccount();
    await consume(account);
    await record(engine, event(account, "e1", 5));
    await engine.rollUp();
    await stack.loseRedis();
    expect(await record(engine, event(account, "e1", 5), event(account, "e1", 5))).toMatchObject({ accepted: 0, duplicates: 2 });
    expect(await used(account)).toBe(6);
    expect(await record(distant, event(account, "e1", 5), event(account, "e2", 5))).toMatchObject({ accepted: 1, duplicates: 1 });
    expect(await used(account)).toBe(11);
  });

  it("that does not answer is told later; the event is counted all the same", async () => {
    const account = await newAccount();
    await consume(account);
    wire.cut();
    expect(await record(distant, event(account, "e1", 5))).toEqual({ accepted: 1, duplicates: 0, rejected: [] });
    expect(await standing(account)).toBe(1);
    wire.mend();
    await vi.waitFor(async () => expect(await standing(account)).toBe(6), { timeout: 20_000, interval: 50 });
    expect(await used(account)).toBe(6);
  });

  it("hears of an event from the duplicate, when the process that counted it died before it told", async () => {
    const account = await newAccount();
    await consume(account);
    await record(engine, event(account, "e1", 5));
    // As if never told: the sum that Redis holds falls back to what it was.
    await sql`update usage_buckets set quantity = 9 where account = ${account} and epoch = 0`;
    await sql`update accounts set foreign_seq = foreign_seq + 1 where account = ${account}`;
    expect(await standing(account)).toBe(6);
    await record(distant, event(account, "e1", 5));
    expect(await standing(account)).toBe(10);
  });
});

describe("a statement whose backend is killed", () => {
  /** Holds a row so that the booking waits: at its first step, or at its last but one, with the key written. */
  const held = {
    "before it has written anything": (tx: postgres.TransactionSql, account: string) =>
      tx`select from accounts where account = ${account} for update`,
    "after it has written the key": (tx: postgres.TransactionSql, account: string) =>
      tx`select from usage_buckets where account = ${account} for update`,
  };

  const HOLDS = Object.keys(held) as (keyof typeof held)[];

  /** Holds the row, starts a booking, and does `meanwhile` once that waits, before the row is free again. */
  async function heldUp<T>(
    hold: keyof typeof held,
    account: string,
    booking: () => Promise<T>,
    meanwhile: (pid: number, booking: Promise<T>) => Promise<unknown>,
  ) {
    let running: Promise<T> | undefined;
    await sql.begin(async (tx) => {
      await held[hold](tx, account);
      running = booking();
      const pid = await vi.waitFor(async () => {
        const [row] = await sql<{ pid: number }[]>`
          select pid from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '-- Counts usage events%'`;
        if (!row) throw new Error("no booking waits");
        return row.pid;
      }, 20_000);
      await meanwhile(pid, running);
    });
    return running;
  }

  it.each(HOLDS)("%s counted nothing, and counts once when it is sent again", async (hold) => {
    const account = await newAccount();
    await record(engine, event(account, "e0"));
    const read = readEvent(engine.catalog, "", event(account, "e1", 5), 0, clock.now());
    if (isRejected(read)) throw new Error(read.detail);
    const [dated] = dateEvents([read], { anchorDay: 1, timezone: "UTC" });
    if (!dated) throw new Error("no event");
    // The engine's own statement, in a session of the test's: Kysely's pool hands out the killed session again (kysely-postgres-js 5).
    const failure = await heldUp(
      hold,
      account,
      () => bookAlone(dated).catch((error: unknown) => error),
      async (pid, booking) => {
        await sql`select pg_terminate_backend(${pid})`;
        await booking;
      },
    );
    expect(failure).toMatchObject({ code: expect.stringMatching(/^(?:57P01|CONNECTION_CLOSED)$/) });
    expect(await used(account)).toBe(1);
    expect(await record(engine, event(account, "e1", 5))).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(await record(distant, event(account, "e1", 5))).toMatchObject({ accepted: 0, duplicates: 1 });
    expect(await used(account)).toBe(6);
  });

  async function bookAlone({ account, key, lines }: DatedEvent): Promise<unknown> {
    const text = readFileSync(new URL("../../../sql/queries/book-events.sql", import.meta.url), "utf8");
    const own = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
    const column = (of: (line: EventLine) => string | number) => lines.map(of);
    const places = column(() => 1);
    const [buckets, meters, services] = [column((l) => iso(l.bucket)), column((l) => l.meter), column((l) => l.service)];
    const [namespaces, quantities] = [column((l) => l.namespace), column((l) => String(l.quantity))];
    try {
      return await own.unsafe(text, [
        [account],
        [null],
        [key],
        [account],
        iso(clock.now()),
        places,
        buckets,
        meters,
        services,
        namespaces,
        quantities,
      ]);
    } finally {
      await own.end({ timeout: 1 });
    }
  }

  it.each(HOLDS)("or that is only held up %s counts once when it is sent again meanwhile", async (hold) => {
    const account = await newAccount();
    await record(engine, event(account, "e0"));
    const again: Promise<{ accepted: number }>[] = [];
    const first = await heldUp(
      hold,
      account,
      () => record(distant, event(account, "e1", 5)),
      () => {
        again.push(record(engine, event(account, "e1", 5)), record(distant, event(account, "e1", 5)));
        return Promise.resolve();
      },
    );
    const answers = [first, ...(await Promise.all(again))];
    expect(answers.reduce((sum, a) => sum + (a?.accepted ?? 0), 0)).toBe(1);
    expect(await used(account)).toBe(6);
  });
});

describe("forgetting", () => {
  it("drops keys older than two days, in as many statements as it takes, and keeps the others", async () => {
    await sql`delete from event_keys`;
    const edge = clock.now() - 2 * DAY_MS;
    const fill = (count: number, at: number) =>
      sql`insert into event_keys select gen_random_uuid(), ${iso(at)}::timestamptz from generate_series(1, ${count})`;
    await fill(45_000, edge - 1);
    await fill(3, edge);
    await fill(4, clock.now());
    const dropped = await Promise.all([forgetEventKeys(engine.db, clock.now()), forgetEventKeys(distant.db, clock.now())]);
    expect(dropped[0] + dropped[1] + (await forgetEventKeys(engine.db, clock.now()))).toBe(45_000);
    expect(await sql`select from event_keys`).toHaveLength(7);
  });
});

interface Wire {
  url: string;
  cut(): void;
  mend(): void;
  close(): void;
}

/** A connection to `target` that can be cut: what runs over it breaks, and nothing new gets through. */
async function openWire(target: string): Promise<Wire> {
  const to = new URL(target);
  const open = new Set<Socket>();
  let whole = true;
  const server: Server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(Number(to.port), to.hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as AddressInfo).port);
  const drop = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: url.href,
    cut: () => {
      whole = false;
      drop();
    },
    mend: () => (whole = true),
    close: () => {
      server.close();
      drop();
    },
  };
}
