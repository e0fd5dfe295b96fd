import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import postgres from "postgres";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { WeirError } from "../../../src/kernel/errors.ts";
import type { AdmissionRequest } from "../../../src/state/admission.ts";
import { State } from "../../../src/state/state.ts";
import { openPostgres, type Postgres } from "../../../src/stores/database.ts";
import { LOOPBACK } from "../../support/loopback.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { type Decide, defaultUsage, noHolds } from "./gate.ts";

const SERVICE = "service_1";
const page = { limit: 100 };
const text = (value: string): Uint8Array => Buffer.from(value);

let stack: TestStack;
let pg: Postgres;
let accounts = 0;

beforeAll(async () => {
  stack = await createTestStack();
  pg = openPostgres(stack.databaseUrl);
});
afterAll(async () => {
  await pg.close();
  await stack.stop();
});

/** A data plane of its own folder, with a gate that also keeps the gauge: bytes by account, namespace and object. */
function planeOn(folder: string, classLimit: number | null = 100) {
  const asked: AdmissionRequest[] = [];
  const gauge = new Map<string, number>();
  const troubles: unknown[] = [];
  const clock = new ManualClock("2026-11-21T12:00:00.000Z");
  const plane = { decide: (() => {}) as Decide };
  const state = new State({
    folder,
    db: pg.db,
    clock,
    usageOf: defaultUsage,
    holds: noHolds,
    ceilingOf: () => Promise.resolve(classLimit),
    egress: LOOPBACK,
    profile: "weir",
    onTrouble: (error) => troubles.push(error),
    admit: async (request) => {
      await plane.decide(request);
      asked.push(request);
      if (request.storageBytes && request.mode !== "peek")
        gauge.set(`${request.account}/${request.namespace}/${request.object}`, request.storageBytes.set);
    },
  });
  return Object.assign(plane, { state, clock, asked, gauge, troubles });
}

/** What was asked for and not only looked at. */
const counted = ({ asked }: { asked: readonly AdmissionRequest[] }): AdmissionRequest[] => asked.filter(({ mode }) => mode !== "peek");

async function newAccount(): Promise<string> {
  accounts += 1;
  const account = `acct_${accounts}`;
  const now = "2026-11-21T00:00:00.000Z";
  await pg.db.insertInto("accounts").values({ account, name: null, email: null, created_at: now, updated_at: now }).execute();
  return account;
}

const codes = (results: PromiseSettledResult<unknown>[]): string[] =>
  results.map((result) =>
    result.status === "fulfilled" ? "created" : result.reason instanceof WeirError ? result.reason.code : String(result.reason),
  );

let dir: ReturnType<typeof tempDir>;
let plane: ReturnType<typeof planeOn>;
let account: string;

beforeEach(async () => {
  dir = tempDir("state");
  plane = planeOn(join(dir.path, "state"));
  account = await newAccount();
  await plane.state.open();
});
afterEach(async () => {
  await plane.state.close();
  dir.remove();
});

describe("namespaces", () => {
  it("are numbered from 1, listed newest first with their bytes, and found by name or id", async () => {
    const { secret: _, ...first } = await plane.state.createNamespace(account, SERVICE, "Room");
    const { secret: __, ...second } = await plane.state.createNamespace(account, SERVICE, "Lobby");
    expect(first).toEqual({ account, number: 1, service: SERVICE, name: "Room", createdAt: plane.clock.now(), storageBytes: 0 });
    const object = { account, service: SERVICE, namespace: "state_namespace_1", object: "room-1" };
    await plane.state.put(object, "counter", text("1"));
    expect((await plane.state.get({ ...object, namespace: "Room" }, "counter")).address.namespace.number).toBe(1);
    const { items, nextCursor } = await plane.state.listNamespaces(account, SERVICE, { limit: 1 });
    expect(items).toEqual([second]);
    const rest = await plane.state.listNamespaces(account, SERVICE, { limit: 1, cursor: nextCursor ?? "" });
    expect(rest).toEqual({ items: [{ ...first, storageBytes: 12_288 }], nextCursor: null });
  });

  it("count one request for each call that is answered, none for a conflict or a name that is not there", async () => {
    await plane.state.createNamespace(account, SERVICE, "Room");
    await expect(plane.state.createNamespace(account, SERVICE, "Room")).rejects.toMatchObject({ code: "conflict" });
    await expect(plane.state.listObjects({ account, service: SERVICE, namespace: "Lobby" }, page)).rejects.toMatchObject({
      code: "not_found",
    });
    await plane.state.listNamespaces(account, SERVICE, page);
    await plane.state.deleteNamespace({ account, service: SERVICE, namespace: "Room" });
    expect(counted(plane).map((request) => [request.operation, request.usage])).toEqual([
      ["namespace-create", { state_requests: 1 }],
      ["namespace-list", { state_requests: 1 }],
      ["namespace-delete", { state_requests: 1 }],
    ]);
  });

  it("belong to one account and one service", async () => {
    const other = await newAccount();
    await plane.state.createNamespace(account, SERVICE, "Room");
    for (const reference of [
      { account: other, service: SERVICE, namespace: "Room" },
      { account: other, service: SERVICE, namespace: "state_namespace_1" },
      { account, service: "service_2", namespace: "Room" },
      { account, service: "service_2", namespace: "state_namespace_1" },
    ]) {
      await expect(plane.state.put({ ...reference, object: "room-1" }, "k", text("v"))).rejects.toMatchObject({ code: "not_found" });
      await expect(plane.state.deleteNamespace(reference)).rejects.toMatchObject({ code: "not_found" });
    }
    await plane.state.createNamespace(account, "service_2", "Room");
    await plane.state.createNamespace(other, SERVICE, "Room");
  });

  it("never pass the plan's number of classes, from two processes at once", async () => {
    const second = planeOn(join(dir.path, "second"));
    await second.state.open();
    const wanted = Array.from({ length: 130 }, (_, n) => `Room${n}`);
    const results = await Promise.allSettled(
      wanted.map((name, n) => (n % 2 ? plane : second).state.createNamespace(account, n % 3 ? SERVICE : "service_2", name)),
    );
    expect(codes(results).toSorted()).toEqual([...Array(100).fill("created"), ...Array(30).fill("limit_exceeded")]);
    const numbers = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.number] : []));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    // A denied creation counts nothing.
    expect(counted(plane).length + counted(second).length).toBe(100);
    await second.state.close();
  });

  it("tell a creation beyond the plan as a denial", async () => {
    const small = planeOn(join(dir.path, "small"), 1);
    await small.state.open();
    await small.state.createNamespace(account, SERVICE, "Room");
    const error = await small.state.createNamespace(account, SERVICE, "Lobby").catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      status: 429,
      extra: {
        denials: [
          {
            code: "limit_exceeded",
            meter: null,
            scope: "account",
            source: "ceiling",
            limit: 1,
            used: 1,
            requested: 1,
            retryable: false,
            resetsAt: null,
          },
        ],
      },
    });
    await small.state.deleteNamespace({ account, service: SERVICE, namespace: "Room" });
    expect((await small.state.createNamespace(account, SERVICE, "Lobby")).number).toBe(2);
    await small.state.close();
  });

  it("are not created when the request is denied", async () => {
    plane.decide = () => {
      throw new WeirError("limit_exceeded", "No requests left.");
    };
    await expect(plane.state.createNamespace(account, SERVICE, "Room")).rejects.toMatchObject({ code: "limit_exceeded" });
    plane.decide = () => {};
    expect((await plane.state.listNamespaces(account, SERVICE, page)).items).toEqual([]);
    // Not a number was used up by it.
    expect(await plane.state.createNamespace(account, SERVICE, "Room")).toMatchObject({ name: "Room", number: 1 });
  });
});

describe("deleting a namespace", () => {
  const fill = async (count: number) => {
    await plane.state.createNamespace(account, SERVICE, "Room");
    const objects = Array.from({ length: count }, (_, n) => ({ account, service: SERVICE, namespace: "Room", object: `room-${n}` }));
    await Promise.all(objects.map((object) => plane.state.put(object, "k", text("v"))));
    return objects;
  };
  const stored = () => [...plane.gauge.values()].reduce((sum, bytes) => sum + bytes, 0);
  const leftovers = () =>
    readdirSync(join(dir.path, "state"), { recursive: true }).filter(
      (path) => /[0-9a-f]{64}/.test(String(path)) && /\.(?:sqlite|json)/.test(String(path)),
    );

  it("gives every byte back, leaves no file, and frees the name for a new number", async () => {
    const objects = await fill(40);
    expect(stored()).toBe(40 * 12_288);
    await plane.state.deleteNamespace({ account, service: SERVICE, namespace: "state_namespace_1" });
    expect(stored()).toBe(0);
    expect(leftovers()).toEqual([]);
    const [object] = objects;
    // The name was looked up a moment ago and is believed for two seconds; not so one that this process deleted.
    await expect(plane.state.put(object!, "k", text("late"))).rejects.toMatchObject({ code: "not_found" });
    expect((await plane.state.createNamespace(account, SERVICE, "Room")).number).toBe(2);
    await expect(plane.state.get(object!, "k")).rejects.toMatchObject({ code: "not_found" });
    await plane.state.put(object!, "k", text("new"));
    expect(stored()).toBe(12_288);
  });

  it("among puts that go on meanwhile leaves nothing behind", async () => {
    const objects = await fill(40);
    plane.decide = () => new Promise((resolve) => setImmediate(resolve));
    let deleted = false;
    const answers: string[] = [];
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; !deleted || n % 10 !== 0; n += 1) {
        const object = { ...objects[0]!, object: `late-${writer}-${n}` };
        answers.push(...codes(await Promise.allSettled([plane.state.put(object, "k", text("v"))])));
      }
    });
    // The deletion begins when the writers are at work, and ends before they do.
    await expect.poll(() => answers.length).toBeGreaterThan(20);
    await plane.state.deleteNamespace({ account, service: SERVICE, namespace: "Room" });
    deleted = true;
    await Promise.all(writers);
    expect(new Set(answers)).toEqual(new Set(["created", "not_found"]));
    expect(stored()).toBe(0);
    expect(leftovers()).toEqual([]);
    expect(plane.troubles).toEqual([]);
  });

  it("that is cut off is finished by the next start, and the name waits for it", async () => {
    await fill(20);
    plane.decide = (request) => {
      if (request.storageBytes) throw new WeirError("unavailable", "Redis is away.");
    };
    await plane.state.deleteNamespace({ account, service: SERVICE, namespace: "Room" });
    expect(plane.troubles.length).toBe(1);
    expect(stored()).toBe(20 * 12_288);
    await expect(plane.state.createNamespace(account, SERVICE, "Room")).rejects.toMatchObject({ code: "unavailable" });
    await plane.state.close();

    const gauge = plane.gauge;
    plane = planeOn(join(dir.path, "state"));
    for (const [object, bytes] of gauge) plane.gauge.set(object, bytes);
    await plane.state.open();
    expect((await plane.state.createNamespace(account, SERVICE, "Room")).number).toBeGreaterThan(1);
    expect(stored()).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it("that Postgres never heard of is called off at the next start", async () => {
    const objects = await fill(2);
    const sql = postgres(stack.databaseUrl, { max: 1 });
    await sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception using errcode = '57P01'; end $$;
      create trigger refuse before update on state_namespaces for each row when (new.account = '${account}') execute function refuse()`);
    await expect(plane.state.deleteNamespace({ account, service: SERVICE, namespace: "Room" })).rejects.toMatchObject({
      code: "unavailable",
    });
    await sql.unsafe("drop trigger refuse on state_namespaces; drop function refuse()");
    await sql.end();
    await plane.state.close();
    plane = planeOn(join(dir.path, "state"));
    await plane.state.open();
    await expect.poll(() => readdirSync(join(dir.path, "state", "deleting"))).toEqual([]);
    expect(Buffer.from((await plane.state.get(objects[1]!, "k")).value).toString()).toBe("v");
  });
});

describe("a State folder", () => {
  it("belongs to one process at a time", async () => {
    const second = planeOn(join(dir.path, "state"));
    await expect(second.state.open()).rejects.toThrow(/Another process is using the State folder/);
    await plane.state.close();
    await second.state.open();
    await second.state.close();
    expect(existsSync(join(dir.path, "state"))).toBe(true);
  });
});

describe("services", () => {
  it("need no creation, keep what a change leaves out, and belong to one account", async () => {
    const other = await newAccount();
    expect(await plane.state.getService(account, SERVICE)).toBeNull();
    const created = await plane.state.putService(account, SERVICE, {});
    expect(created).toEqual({ service: SERVICE, workerUrl: null, createdAt: plane.clock.now() });
    await plane.state.putService(account, SERVICE, { workerUrl: "https://worker.example" });
    plane.clock.advance(1_000);
    expect(await plane.state.putService(account, SERVICE, {})).toEqual({ ...created, workerUrl: "https://worker.example" });
    expect(await plane.state.putService(account, SERVICE, { workerUrl: null })).toEqual(created);
    expect(await plane.state.getService(other, SERVICE)).toBeNull();
    expect(plane.asked).toEqual([]);
  });
});
