import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { STORAGE_METER } from "../../../src/engine.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const NOW = "2026-11-21T12:30:00.000Z";
const STATE = "/v1/services/service_1/state/namespaces";

let t: TestApp;
let account: string;

beforeAll(async () => {
  t = await openTestApp();
  t.clock.set(NOW);
});
afterAll(async () => {
  await t.stop();
  expect(t.troubles).toEqual([]);
});
beforeEach(async () => {
  account = await t.newAccount("free");
});

type Json = Record<string, unknown>;

async function send(method: "GET" | "POST" | "PUT" | "DELETE", url: string, body?: Json): Promise<{ status: number; body: Json }> {
  const answer = await t.send(method, url, { account, body });
  return { status: answer.status, body: answer.body };
}

const measured = (object: string, storageBytes: number, service = "s") => ({ service, namespace: "Room", object, storageBytes });
const recount = (objects: Json[], rest: Json = {}) => send("POST", "/v1/recount", { account, objects, ...rest });
const stored = async (): Promise<number | undefined> => (await t.engine.usage(account)).usage.meters.month[STORAGE_METER];
const store = (object: string, set: number) =>
  t.engine.gate.check({ account, service: "s", namespace: "Room", object, usage: {}, storageBytes: { set } }, t.clock.now());

it("sets measured sizes, and says what differed", async () => {
  await store("a", 100);
  await store("b", 200);
  expect(await recount([measured("a", 100), measured("b", 150), measured("c", 30)])).toEqual({
    status: 200,
    body: {
      changed: 2,
      differenceBytes: -20,
      differences: [
        { service: "s", namespace: "Room", object: "b", before: 200, after: 150 },
        { service: "s", namespace: "Room", object: "c", before: 0, after: 30 },
      ],
    },
  });
  expect(await stored()).toBe(280);
  expect((await recount([measured("a", 100), measured("b", 150), measured("c", 30)])).body).toMatchObject({
    changed: 0,
    differenceBytes: 0,
  });
});

it("knows sizes that only the ledger has", async () => {
  await store("a", 100);
  await store("b", 200);
  await t.engine.rollUp();
  await t.stack.loseRedis();
  expect((await recount([measured("a", 70), measured("b", 200)])).body).toMatchObject({ changed: 1, differenceBytes: -30 });
  expect(await stored()).toBe(270);
});

it("takes growth over a ceiling for the truth; the next growth is refused, shrinking is not", async () => {
  const most = 5_000_000_000;
  expect((await recount([measured("a", most + 1)])).body).toMatchObject({ changed: 1, differenceBytes: most + 1 });
  expect(await stored()).toBe(most + 1);
  expect((await store("b", 1)).denials[0]).toMatchObject({ meter: STORAGE_METER, used: most + 1 });
  expect((await store("a", 5)).allowed).toBe(true);
  expect((await store("b", 1)).allowed).toBe(true);
});

it("fills in service and namespace, and refuses what is missing, twice there or too many", async () => {
  expect((await recount([{ object: "a", storageBytes: 1 }], { service: "s", namespace: "Room" })).body).toMatchObject({ changed: 1 });
  expect(await recount([{ object: "a", storageBytes: 1 }], { service: "s" })).toMatchObject({
    status: 400,
    body: { code: "validation_failed" },
  });
  expect((await recount([measured("a", 1), measured("a", 2)])).status).toBe(400);
  expect((await recount([measured("a", -1)])).status).toBe(400);
  expect((await recount(Array.from({ length: 1_001 }, (_, n) => measured(`o${n}`, 1)))).status).toBe(400);
  expect((await recount([measured("a", 1)], { account: "acct_none" })).status).toBe(404);
  expect(await stored()).toBe(1);
});

it("takes 1,000 objects at once", async () => {
  const objects = Array.from({ length: 1_000 }, (_, n) => measured(`o${n}`, n + 1));
  expect((await recount(objects)).body).toMatchObject({ changed: 1_000, differenceBytes: 500_500 });
  expect(await stored()).toBe(500_500);
});

/** Walks the data plane to its end. */
async function walk(service?: string): Promise<{ objects: number; differences: Json[] }> {
  const found = { objects: 0, differences: [] as Json[] };
  let cursor: unknown = null;
  do {
    const { status, body } = await send("POST", "/v1/recount/state", {
      account,
      ...(service ? { service } : {}),
      ...(cursor ? { cursor } : {}),
    });
    expect(status).toBe(200);
    found.objects += Number(body["objects"]);
    found.differences.push(...(body["differences"] as Json[]));
    cursor = body["nextCursor"];
  } while (cursor !== null);
  return found;
}

it("walks the data plane: what Weir has wrong is set to what is on disk, the rest left alone", async () => {
  await send("POST", STATE, { name: "Room" });
  await send("POST", STATE, { name: "Hall" });
  for (const object of ["a", "b", "😀"]) await send("PUT", `${STATE}/Room/objects/${encodeURIComponent(object)}/values/k`, { value: "1" });
  await send("PUT", `${STATE}/Hall/objects/h/values/k`, { value: "1" });
  expect(await walk()).toEqual({ objects: 4, differences: [] });
  const usedBefore = (await t.engine.usage(account)).usage.meters.day["state_requests"];
  const size = ((await stored()) ?? 0) / 4;
  // A wrong size, an object that is not on disk, and one of another data plane.
  await t.engine.recount(account, [
    { service: "service_1", namespace: "Room", object: "b", storageBytes: 5 },
    { service: "service_1", namespace: "Hall", object: "ghost", storageBytes: 7 },
    { service: "service_2", namespace: "Room", object: "theirs", storageBytes: 11 },
  ]);
  expect(await walk("service_1")).toEqual({
    objects: 5,
    differences: [
      { service: "service_1", namespace: "Room", object: "b", before: 5, after: size },
      { service: "service_1", namespace: "Hall", object: "ghost", before: 7, after: 0 },
    ],
  });
  expect(await stored()).toBe(4 * size + 11);
  expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(usedBefore);
});

it("walks more objects than a page holds, while they are written to", async () => {
  await send("POST", STATE, { name: "Room" });
  const put = (n: number, value: string) => send("PUT", `${STATE}/Room/objects/o${n}/values/k`, { value });
  for (let n = 0; n < 230; n++) await put(n, "1");
  const writing = (async () => {
    for (let n = 0; n < 60; n++) await put(n * 3, "x".repeat(20_000));
  })();
  expect((await walk()).differences).toEqual([]);
  await writing;
  expect(await walk()).toEqual({ objects: 230, differences: [] });
});

it("finds an object whose file is gone", async () => {
  await send("POST", STATE, { name: "Room" });
  await send("PUT", `${STATE}/Room/objects/lost/values/k`, { value: "1" });
  await t.state.close();
  const objects = readdirSync(join(t.stack.dataDir, "state"), { recursive: true, withFileTypes: true }).filter(
    (f) => f.isFile() && f.name.endsWith(".sqlite"),
  );
  // Index files stay; of this account's only object the file goes.
  const [accountHash, objectHash] = [account, "lost"].map((name) => createHash("sha256").update(name).digest("hex"));
  const own = objects.filter((f) => f.parentPath.includes(accountHash ?? "") && f.name === `${objectHash}.sqlite`);
  expect(own).toHaveLength(1);
  for (const file of own) for (const end of ["", "-wal", "-shm"]) await rm(join(file.parentPath, `${file.name}${end}`), { force: true });
  await t.state.open();
  expect((await walk()).differences).toMatchObject([{ object: "lost", after: 0 }]);
  expect(await stored()).toBe(0);
});

it("lists objects by size with their ceiling, by pages, including every answered check", async () => {
  for (const [object, bytes] of [
    ["a", 500],
    ["b", 200_000_000],
    ["c", 500],
    ["d", 1],
    ["e", 0],
  ] as const) {
    t.clock.advance(1);
    await store(object, bytes);
  }
  t.clock.advance(1);
  await store("a", 600);
  await t.engine.gate.check(
    { account, service: "t", namespace: "Hall", object: "z", usage: {}, storageBytes: { set: 550 } },
    t.clock.now(),
  );
  const names = async (query: string): Promise<unknown[]> => {
    const seen: unknown[] = [];
    let cursor = "";
    do {
      const { status, body } = await send("GET", `/v1/usage/objects?limit=2${query}${cursor}`);
      expect(status).toBe(200);
      seen.push(...(body["objects"] as Json[]).map((o) => o["object"]));
      cursor = body["nextCursor"] === null ? "" : `&cursor=${String(body["nextCursor"])}`;
    } while (cursor !== "");
    return seen;
  };
  expect(await names("")).toEqual(["b", "a", "z", "c", "d"]);
  expect(await names("&service=s")).toEqual(["b", "a", "c", "d"]);
  expect(await names("&namespace=Hall")).toEqual(["z"]);
  const first = await send("GET", "/v1/usage/objects?limit=1");
  expect(first.body).toMatchObject({
    sortedBy: "storage",
    objects: [{ service: "s", namespace: "Room", object: "b", storageBytes: 200_000_000, ceilingBytes: 1_000_000_000, percent: 20 }],
  });
  expect((await send("GET", "/v1/usage/objects?cursor=zzz")).status).toBe(400);
});
