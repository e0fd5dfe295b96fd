import { createHmac, timingSafeEqual } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { findWebhook, rotateSecret } from "../../../src/notifications/webhook-store.ts";
import { secretText } from "../../../src/notifications/signature.ts";
import { openTestOutbox, type TestOutbox } from "../../support/outbox.ts";
import { startReceiver, type Received, type Receiver } from "../../support/receiver.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let t: TestOutbox;
const receivers: Receiver[] = [];
beforeAll(async () => {
  t = await openTestOutbox();
});
afterEach(async () => {
  await Promise.all(receivers.splice(0).map((one) => one.stop()));
});
afterAll(() => t.stop());

async function receiver(answer: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
  const made = await startReceiver(answer);
  receivers.push(made);
  return made;
}

/** An account with one endpoint that answers like this, and one message for it. */
async function told(answer: Parameters<typeof startReceiver>[0], data: Record<string, unknown> = {}) {
  const to = await receiver(answer);
  const account = await t.newAccount();
  const webhook = await t.newWebhook(account, `${to.url}/hook`);
  await t.tell(account, data);
  return { account, webhook, to, log: async () => (await t.deliveries(account, webhook.id))[0] };
}

/** What a receiver does that has no library: the specification in plain crypto. */
function verified(secret: string, { headers, body }: Received): boolean {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  const expected = createHmac("sha256", key).update(signed).digest();
  return String(headers["webhook-signature"])
    .split(" ")
    .map((one) => one.split(","))
    .filter(([version]) => version === "v1")
    .map(([, signature = ""]) => Buffer.from(signature, "base64"))
    .some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected));
}

/** The same by the specification's own library, which also looks at the time. */
const byLibrary = (secret: string, { headers, body }: Received): unknown =>
  new Webhook(secret).verify(body, headers as Record<string, string>);

const OTHER_SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

test("a message is posted once, signed, as JSON, with what happened in it", async () => {
  const { account, webhook, to, log } = await told((response) => response.end("thanks"), { meter: "state_requests", name: "Zoë ①" });
  await t.dispatcher.deliverDue();
  await t.dispatcher.deliverDue();
  expect(to.received).toHaveLength(1);
  const [one] = to.received as [Received];
  const at = new Date(t.clock.now()).toISOString();
  expect(JSON.parse(one.body)).toEqual({
    type: "usage.limit_reached",
    timestamp: at,
    data: { account, meter: "state_requests", name: "Zoë ①" },
  });
  expect(one.headers).toMatchObject({ "content-type": "application/json", "webhook-timestamp": String(Math.floor(t.clock.now() / 1000)) });
  expect(one.headers["webhook-id"]).toMatch(/^msg_[0-9a-f]{32}$/);
  expect(byLibrary(webhook.secret, one)).toEqual(JSON.parse(one.body));
  expect(verified(webhook.secret, one)).toBe(true);
  expect(() => byLibrary(OTHER_SECRET, one)).toThrow("No matching signature found");
  expect(verified(OTHER_SECRET, one)).toBe(false);
  expect(verified(webhook.secret, { ...one, body: one.body.replace("state_requests", "state_requestz") })).toBe(false);
  expect(await log()).toMatchObject({
    status: "delivered",
    messageId: one.headers["webhook-id"],
    nextAttemptAt: null,
    attemptCount: 1,
    attempts: [{ number: 1, statusCode: 200, error: null, answer: "thanks" }],
  });
});

test("a receiver that answers 500 five times, then 200, gets the same message six times, on schedule", async () => {
  const start = t.clock.now();
  const { webhook, to, log } = await told((response, before) => response.writeHead(before < 5 ? 500 : 200).end(`answer ${before}`));
  const waits = [5, 300, 1_800, 7_200, 18_000];
  const due = waits.map((_, i) => waits.slice(0, i + 1).reduce((a, b) => a + b, 0));
  await t.dispatcher.deliverDue();
  for (const [i, seconds] of due.entries()) {
    t.clock.set(start + seconds * 1000 - 1);
    await t.dispatcher.deliverDue();
    expect(to.received).toHaveLength(i + 1);
    expect(await log()).toMatchObject({ status: "pending", nextAttemptAt: start + seconds * 1000 });
    t.clock.advance(1);
    await t.dispatcher.deliverDue();
    expect(to.received).toHaveLength(i + 2);
  }
  expect(new Set(to.received.map((one) => one.headers["webhook-id"])).size).toBe(1);
  expect(new Set(to.received.map((one) => one.body)).size).toBe(1);
  // The time is the attempt's, so each is signed anew.
  expect(to.received.map((one) => Number(one.headers["webhook-timestamp"]))).toEqual(
    [0, ...due].map((seconds) => Math.floor((start + seconds * 1000) / 1000)),
  );
  expect(to.received.map((one) => verified(webhook.secret, one))).toEqual(Array(6).fill(true));
  expect(await log()).toMatchObject({
    status: "delivered",
    attemptCount: 6,
    attempts: [200, 500, 500, 500, 500, 500].map((statusCode, i) => ({ number: 6 - i, statusCode, answer: `answer ${5 - i}` })),
  });
});

test("a message that never gets through has failed after eight attempts over more than a day", async () => {
  const start = t.clock.now();
  const { to, log } = await told((response) => response.writeHead(500).end());
  for (let i = 0; i < 12; i += 1) {
    await t.dispatcher.deliverDue();
    t.clock.set((await log())?.nextAttemptAt ?? t.clock.now() + DAY);
  }
  expect(to.received).toHaveLength(8);
  const last = await log();
  expect(last).toMatchObject({ status: "failed", nextAttemptAt: null, attemptCount: 8 });
  expect((last?.attempts[0]?.at ?? 0) - start).toBeGreaterThan(DAY);
});

describe("what a receiver may do to us", () => {
  const table: [name: string, answer: Parameters<typeof startReceiver>[0], attempt: object][] = [
    ["hangs", () => undefined, { statusCode: null, error: "timeout", answer: null }],
    [
      "resets the connection",
      (response) => void response.socket?.resetAndDestroy(),
      { statusCode: null, error: "connection_reset", answer: null },
    ],
    ["closes it", (response) => void response.socket?.end(), { statusCode: null, error: "connection_reset", answer: null }],
    [
      "redirects to a link-local address",
      (response) => response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" }).end("over there"),
      { statusCode: 302, error: "redirect", answer: "over there" },
    ],
    [
      "redirects to itself",
      (response) => response.writeHead(307, { location: "/elsewhere" }).end(),
      { statusCode: 307, error: "redirect", answer: "" },
    ],
    [
      "talks no HTTP",
      (response) => void response.socket?.end("220 smtp ready\r\n\r\n"),
      { statusCode: null, error: "invalid_answer", answer: null },
    ],
    [
      "answers 404",
      (response) => response.writeHead(404).end("x".repeat(5_000)),
      { statusCode: 404, error: "bad_status", answer: "x".repeat(1_024) },
    ],
    [
      "switches protocols",
      (response) => void response.socket?.end("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
      { statusCode: null, error: "connection_reset", answer: null },
    ],
  ];
  test.each(table)("one that %s is tried again, and the log says why", async (_name, answer, attempt) => {
    const { to, log } = await told(answer);
    await t.dispatcher.deliverDue();
    expect(to.received.map((one) => one.path)).toEqual(["/hook"]);
    expect(await log()).toMatchObject({ status: "pending", nextAttemptAt: t.clock.now() + 5_000, attempts: [attempt] });
  });

  test("one that nobody is behind is tried again", async () => {
    const { account, webhook, to } = await told((response) => response.end());
    await to.stop();
    receivers.splice(0);
    await t.dispatcher.deliverDue();
    expect((await t.deliveries(account, webhook.id))[0]).toMatchObject({ attempts: [{ error: "connection_failed", statusCode: null }] });
  });

  test("a flood is read to its bound", async () => {
    let sent = 0;
    const { log } = await told((response) => {
      response.writeHead(200);
      const pour = (): void => {
        while (!response.destroyed && sent < 5_000_000_000 && response.write(Buffer.alloc(65_536, "a"))) sent += 65_536;
      };
      response.on("drain", pour);
      pour();
    });
    await t.dispatcher.deliverDue();
    expect(await log()).toMatchObject({ status: "delivered", attempts: [{ statusCode: 200, answer: "a".repeat(1_024) }] });
    // What the kernel's buffers of both ends take besides.
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  test("a trickle ends with the time limit; its 200 counts", async () => {
    const { log } = await told((response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write("a\0"), 20);
      response.on("close", () => clearInterval(drip));
    });
    await t.dispatcher.deliverDue();
    const delivered = await log();
    expect(delivered).toMatchObject({ status: "delivered", attempts: [{ statusCode: 200, error: null }] });
    expect(delivered?.attempts[0]?.answer).toMatch(/^(?:a\ufffd)+$/);
    expect(delivered?.attempts[0]?.latencyMs).toBeLessThan(8_000);
  });
});

describe("one endpoint's trouble", () => {
  test("delays no other's: while one hangs, all of the other's arrive", async () => {
    const hanging = await receiver(() => undefined);
    const well = await receiver((response) => response.end());
    const account = await t.newAccount();
    await t.newWebhook(account, hanging.url);
    await t.newWebhook(account, well.url);
    for (let i = 0; i < 8; i += 1) await t.tell(account);
    const run = t.dispatcher.deliverDue();
    await well.until(8);
    // Not one of the hanging one's had ended by then, or a fifth would have come.
    expect(hanging.received.length).toBeLessThanOrEqual(4);
    // What is told meanwhile does not wait for the hanging ones either.
    await t.tell(account);
    await well.until(9);
    await run;
  });

  test("never has more than four under way, over all dispatchers", async () => {
    let open = 0;
    let most = 0;
    const slow = await receiver((response) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open -= 1;
        response.end();
      }, 30);
    });
    const account = await t.newAccount();
    const webhook = await t.newWebhook(account, slow.url);
    for (let i = 0; i < 40; i += 1) {
      await t.tell(account);
      // What is said in one moment is sent one after the other.
      t.clock.advance(1);
    }
    const dispatchers = [t.dispatcher, t.another(), t.another(), t.another()];
    await Promise.all(dispatchers.map((one) => one.deliverDue()));
    expect(most).toBe(4);
    expect(slow.received).toHaveLength(40);
    expect(new Set(slow.received.map((one) => one.headers["webhook-id"])).size).toBe(40);
    expect((await t.deliveries(account, webhook.id)).map((one) => one.attemptCount)).toEqual(Array(40).fill(1));
  });

  test("429 with Retry-After stops all of its deliveries for that long, and nobody else's", async () => {
    let busy = true;
    const overloaded = await receiver((response) => response.writeHead(busy ? 429 : 200, busy ? { "retry-after": "120" } : {}).end());
    const account = await t.newAccount();
    await t.newWebhook(account, overloaded.url);
    await t.tell(account);
    await t.dispatcher.deliverDue();
    busy = false;
    await t.tell(account);
    t.clock.advance(119_999);
    await t.dispatcher.deliverDue();
    expect(overloaded.received).toHaveLength(1);
    t.clock.advance(1);
    await t.dispatcher.deliverDue();
    expect(overloaded.received).toHaveLength(3);
  });
});

describe("an endpoint is disabled", () => {
  const notices = async (account: string) =>
    (
      await t.db.selectFrom("notifications").select("data").where("account", "=", account).where("type", "=", "webhook.disabled").execute()
    ).map(({ data }) => data);

  test("at once by 410, and its account is told once, through its other endpoint", async () => {
    const gone = await receiver((response) => response.writeHead(410).end());
    const well = await receiver((response) => response.end());
    const account = await t.newAccount();
    const webhook = await t.newWebhook(account, gone.url);
    await t.newWebhook(account, well.url, ["webhook.disabled"]);
    await t.tell(account);
    await t.tell(account);
    await t.dispatcher.deliverDue();
    expect(await findWebhook(t.db, account, webhook.id)).toMatchObject({ disabledReason: "gone" });
    expect(await notices(account)).toEqual([{ account, webhook: webhook.id, url: gone.url, reason: "gone" }]);
    expect(well.received.map((one) => (JSON.parse(one.body) as { type: string }).type)).toEqual(["webhook.disabled"]);
    const before = gone.received.length;
    await t.tell(account);
    t.clock.advance(2 * DAY);
    await t.dispatcher.deliverDue();
    expect(gone.received).toHaveLength(before);
  });

  test("after five days of failures only, not a moment before", async () => {
    const { account, webhook, to } = await told((response) => response.writeHead(500).end());
    await t.dispatcher.deliverDue();
    const first = t.clock.now();
    const failAt = async (at: number): Promise<void> => {
      t.clock.set(at);
      await t.tell(account);
      await t.dispatcher.deliverDue();
    };
    await failAt(first + 5 * DAY - 1);
    expect(await findWebhook(t.db, account, webhook.id)).toMatchObject({ disabledAt: null, firstFailureAt: first });
    await failAt(first + 5 * DAY + 1);
    expect(await findWebhook(t.db, account, webhook.id)).toMatchObject({ disabledAt: first + 5 * DAY + 1, disabledReason: "failing" });
    expect(await notices(account)).toHaveLength(1);
    expect(to.received.length).toBeGreaterThan(2);
  });

  test("not when one success lies between the failures", async () => {
    let well = false;
    const { account, webhook } = await told((response) => response.writeHead(well ? 200 : 500).end());
    await t.dispatcher.deliverDue();
    t.clock.advance(3 * DAY);
    well = true;
    await t.tell(account);
    await t.dispatcher.deliverDue();
    well = false;
    t.clock.advance(3 * DAY);
    await t.tell(account);
    await t.dispatcher.deliverDue();
    expect(await findWebhook(t.db, account, webhook.id)).toMatchObject({ disabledAt: null, firstFailureAt: t.clock.now() });
  });
});

test("for a while after a rotation both secrets verify, then only the new one", async () => {
  const { account, webhook, to } = await told((response) => response.end());
  const rotated = await rotateSecret(t.db, account, webhook.id, t.clock.now() + HOUR);
  const fresh = secretText(rotated?.secret ?? Buffer.alloc(0));
  await t.dispatcher.deliverDue();
  t.clock.advance(HOUR);
  await t.tell(account);
  await t.dispatcher.deliverDue();
  const [during, after] = to.received as [Received, Received];
  expect([webhook.secret, fresh].map((secret) => verified(secret, during))).toEqual([true, true]);
  expect([webhook.secret, fresh].map((secret) => verified(secret, after))).toEqual([false, true]);
  expect(String(during.headers["webhook-signature"]).split(" ")).toHaveLength(2);
});

test("an endpoint gets the types it asked for, and nothing of another account", async () => {
  const to = await receiver((response) => response.end());
  const [mine, theirs] = [await t.newAccount(), await t.newAccount()];
  await t.newWebhook(mine, `${to.url}/all`);
  await t.newWebhook(mine, `${to.url}/limits`, ["usage.limit_reached", "invoice.finalized"]);
  await t.newWebhook(mine, `${to.url}/invoices`, ["invoice.finalized"]);
  await t.tell(mine);
  await t.tell(theirs);
  await t.dispatcher.deliverDue();
  expect(to.received.map((one) => one.path).toSorted()).toEqual(["/all", "/limits"]);
});
