import { spawn } from "node:child_process";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { enqueueTest } from "../../../src/notifications/delivery-store.ts";
import { deleteWebhook } from "../../../src/notifications/webhook-store.ts";
import { forgetDeliveries, LEASE_MS } from "../../../src/notifications/outbox-store.ts";
import { notify } from "../../../src/notifications/notification-store.ts";
import { openTestOutbox, type TestOutbox } from "../../support/outbox.ts";
import { startReceiver } from "../../support/receiver.ts";
import { ROOT } from "../../support/tools.ts";

let t: TestOutbox;
beforeAll(async () => {
  t = await openTestOutbox();
});
afterAll(() => t.stop());

const DAY = 86_400_000;

describe("notify", () => {
  test("says a thing once, whoever says it and however many at once, with one delivery for each endpoint", async () => {
    const account = await t.newAccount();
    const hooks = [await t.newWebhook(account, "http://127.0.0.1:1/a"), await t.newWebhook(account, "http://127.0.0.1:1/b")];
    const said = await Promise.all(
      Array.from({ length: 40 }, (_, i) => notify(t.db, account, "once", "usage.limit_reached", { by: i }, t.clock.now())),
    );
    expect(said.filter(Boolean)).toHaveLength(1);
    expect(await notify(t.db, account, "once", "usage.limit_reached", {}, t.clock.now())).toBe(false);
    for (const { id } of hooks) expect(await t.deliveries(account, id)).toHaveLength(1);
    expect(await t.db.selectFrom("notifications").select("id").where("account", "=", account).execute()).toHaveLength(1);
  });

  test("the same key of two accounts is two things", async () => {
    const [a, b] = [await t.newAccount(), await t.newAccount()];
    expect(await notify(t.db, a, "k", "usage.limit_reached", {}, t.clock.now())).toBe(true);
    expect(await notify(t.db, b, "k", "usage.limit_reached", {}, t.clock.now())).toBe(true);
  });

  test("writes the notification and its deliveries, or neither", async () => {
    const account = await t.newAccount();
    const { id } = await t.newWebhook(account, "http://127.0.0.1:1/");
    const big = { text: "x".repeat(17_000) };
    await expect(notify(t.db, account, "too-big", "usage.limit_reached", big, t.clock.now())).rejects.toThrow("check");
    expect(await t.deliveries(account, id)).toEqual([]);
    expect(await notify(t.db, account, "too-big", "usage.limit_reached", {}, t.clock.now())).toBe(true);
  });
});

test("an endpoint that is being deleted is not told, and fails nobody who says something", async () => {
  const account = await t.newAccount();
  const hooks = [await t.newWebhook(account, "http://127.0.0.1:1/gone"), await t.newWebhook(account, "http://127.0.0.1:1/stays")];
  const [gone = "", stays = ""] = hooks.map(({ id }) => id);
  const other = postgres(t.stack.databaseUrl, { max: 2, onnotice: () => {} });
  try {
    let said: Promise<unknown> | undefined;
    await other.begin(async (sql) => {
      await sql`delete from webhooks where account = ${account} and id = ${gone}`;
      said = Promise.all([t.tell(account), enqueueTest(t.db, account, gone, t.clock.now())]);
      said.catch(() => {});
      const waiting = () => other`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await expect.poll(async () => (await waiting()).length).toBe(2);
    });
    // Nor does a test of it fail: there is no such endpoint.
    expect(await said).toEqual([undefined, null]);
    expect(await t.deliveries(account, stays)).toHaveLength(1);
  } finally {
    await other.end();
  }
});

test("an endpoint is deleted while an attempt at it fails: one waits for the other, and both end", async () => {
  const account = await t.newAccount();
  const asked: ServerResponse[] = [];
  const receiver = await startReceiver((response) => void asked.push(response));
  const { id } = await t.newWebhook(account, receiver.url);
  await t.tell(account);
  const other = postgres(t.stack.databaseUrl, { max: 2, onnotice: () => {} });
  const waiting = async (): Promise<number> =>
    (await other`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).length;
  const ends: Promise<unknown>[] = [];
  try {
    await other.begin(async (sql) => {
      ends.push(t.dispatcher.deliverDue());
      await receiver.until(1);
      await sql`select 1 from deliveries where account = ${account} for update`;
      asked[0]?.writeHead(410).end();
      await expect.poll(waiting).toBe(1);
      ends.push(deleteWebhook(t.db, account, id));
      await expect.poll(waiting).toBe(2);
    });
    expect(await Promise.all(ends)).toEqual([undefined, true]);
  } finally {
    await Promise.allSettled(ends);
    await other.end();
    await receiver.stop();
  }
});

test("a dispatcher killed between the POST and its record: sent again, with the same id and body, when its lease is over", async () => {
  const receiver = await startReceiver((response, before) => {
    // The first is never answered: its sender dies waiting.
    if (before > 0) response.end();
  });
  const account = await t.newAccount();
  const { id } = await t.newWebhook(account, receiver.url);
  await t.tell(account, { meter: "state_requests" });
  const child = spawn(
    process.execPath,
    [join(ROOT, "test/integration/notifications/outbox-dispatcher.ts"), t.stack.databaseUrl, String(t.clock.now())],
    {
      stdio: "inherit",
    },
  );
  const ended = once(child, "exit");
  await receiver.until(1);
  child.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);

  t.clock.advance(LEASE_MS - 1);
  await t.dispatcher.deliverDue();
  expect(receiver.received).toHaveLength(1);
  t.clock.advance(1);
  await t.dispatcher.deliverDue();
  expect(receiver.received).toHaveLength(2);
  const [first, second] = receiver.received;
  expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
  expect(second?.body).toBe(first?.body);
  expect(await t.deliveries(account, id)).toMatchObject([
    {
      status: "delivered",
      attemptCount: 2,
      attempts: [
        { number: 2, statusCode: 200, error: null },
        { number: 1, statusCode: null, error: null, latencyMs: null },
      ],
    },
  ]);
  await receiver.stop();
});

test("what is said in one moment reaches an endpoint in the order in which it was said", async () => {
  const account = await t.newAccount();
  const asked: ServerResponse[] = [];
  const receiver = await startReceiver((response) => void asked.push(response));
  const { id } = await t.newWebhook(account, receiver.url);
  for (const percent of [80, 90, 100]) await t.tell(account, { percent });
  const delivered = t.dispatcher.deliverDue();
  for (let n = 1; n <= 3; n++) {
    await receiver.until(n);
    // All three are in hand by now.
    expect((await t.deliveries(account, id)).map(({ attemptCount }) => attemptCount)).toEqual([1, 1, 1]);
    expect(receiver.received.map(({ body }) => (JSON.parse(body) as { data: { percent: number } }).data.percent)).toEqual(
      [80, 90, 100].slice(0, n),
    );
    asked[n - 1]?.end();
  }
  await delivered;
  await receiver.stop();
});

test("many dispatchers at once deliver each message once", async () => {
  const receiver = await startReceiver((response) => response.end());
  const accounts = await Promise.all(Array.from({ length: 6 }, () => t.newAccount()));
  for (const account of accounts) await t.newWebhook(account, receiver.url);
  await Promise.all(accounts.flatMap((account) => Array.from({ length: 15 }, () => t.tell(account))));
  const dispatchers = Array.from({ length: 6 }, () => t.another());
  // One that finds every endpoint in others' hands ends its run; as the job does, each is run again.
  await expect
    .poll(async () => {
      await Promise.all(dispatchers.map((dispatcher) => dispatcher.deliverDue()));
      return receiver.received.length;
    })
    .toBe(90);
  expect(new Set(receiver.received.map((one) => one.headers["webhook-id"])).size).toBe(90);
  await receiver.stop();
});

test("an endpoint that is removed while it is told takes its deliveries and their log with it", async () => {
  const account = await t.newAccount();
  const receiver = await startReceiver((response) => void deleteWebhook(t.db, account, id).then(() => response.end()));
  const { id } = await t.newWebhook(account, receiver.url);
  await t.tell(account);
  await t.dispatcher.deliverDue();
  expect(receiver.received).toHaveLength(1);
  expect(await t.db.selectFrom("deliveries").select("id").where("account", "=", account).execute()).toEqual([]);
  expect(await t.db.selectFrom("delivery_attempts").select("delivery").where("account", "=", account).execute()).toEqual([]);
  await receiver.stop();
});

test("the log is kept for 30 days", async () => {
  const account = await t.newAccount();
  const { id } = await t.newWebhook(account, "http://127.0.0.1:1/");
  await t.tell(account);
  await forgetDeliveries(t.db, t.clock.now() + 30 * DAY);
  expect(await t.deliveries(account, id)).toHaveLength(1);
  await forgetDeliveries(t.db, t.clock.now() + 30 * DAY + 1);
  expect(await t.deliveries(account, id)).toEqual([]);
});
