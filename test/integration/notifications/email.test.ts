import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestOutbox, type TestOutbox } from "../../support/outbox.ts";

interface Mail {
  from: string;
  to: string[];
  text: string;
}

let t: TestOutbox;
let server: SMTPServer;
/** What the server takes; addresses before the @ say how it behaves. */
const mails: Mail[] = [];
let busy = 0;

beforeAll(async () => {
  server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onRcptTo: ({ address }, _session, done) => {
      if (address.startsWith("nobody@")) return done(Object.assign(new Error("No such mailbox"), { responseCode: 550 }));
      if (address.startsWith("busy@") && busy++ < 2) return done(Object.assign(new Error("Try later"), { responseCode: 451 }));
      done();
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString("utf8"),
        });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;
  t = await openTestOutbox({ mail: { smtpUrl: `smtp://127.0.0.1:${port}`, from: "Weir <weir@example.com>" } });
});
afterAll(async () => {
  await t.stop();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

const FACTS = { meter: "state_requests", period: "day", used: 100_000, limit: 100_000, percent: 100, source: "plan" };
const outbox = (account: string) =>
  t.db.selectFrom("deliveries").select(["status", "attempts", "webhook", "recipient"]).where("account", "=", account).execute();

test("an account with an address is mailed each notification once", async () => {
  const account = await t.newAccount("ops@example.com");
  await t.tell(account, FACTS);
  await Promise.all([t.dispatcher.deliverDue(), t.another().deliverDue()]);
  await t.dispatcher.deliverDue();
  expect(mails).toHaveLength(1);
  const [mail] = mails.splice(0) as [Mail];
  expect(mail).toMatchObject({ from: "weir@example.com", to: ["ops@example.com"] });
  expect(mail.text).toContain(`Subject: [Weir] ${account}: state_requests has reached its limit for the day`);
  expect(mail.text).toMatch(/^Message-ID: <msg_[0-9a-f]{32}@example\.com>\r$/im);
  expect(mail.text).toContain("Auto-Submitted: auto-generated");
  expect(mail.text).toContain("used: 100000\r\nlimit: 100000\r\n");
  expect(await outbox(account)).toEqual([{ status: "delivered", attempts: 1, webhook: null, recipient: "ops@example.com" }]);
});

test("an account without an address is not", async () => {
  const account = await t.newAccount();
  await t.tell(account, FACTS);
  await t.dispatcher.deliverDue();
  expect(await outbox(account)).toEqual([]);
  expect(mails).toEqual([]);
});

test("a server that is busy is asked again, on the same schedule as a webhook", async () => {
  const account = await t.newAccount("busy@example.com");
  await t.tell(account, FACTS);
  await t.dispatcher.deliverDue();
  t.clock.advance(4_999);
  await t.dispatcher.deliverDue();
  expect((await outbox(account))[0]).toMatchObject({ status: "pending", attempts: 1 });
  t.clock.advance(1);
  await t.dispatcher.deliverDue();
  expect(mails).toEqual([]);
  t.clock.advance(300_000);
  await t.dispatcher.deliverDue();
  expect(mails.splice(0)).toMatchObject([{ to: ["busy@example.com"] }]);
  expect((await outbox(account))[0]).toMatchObject({ status: "delivered", attempts: 3 });
});

test("a mailbox that does not exist is not tried again", async () => {
  const account = await t.newAccount("nobody@example.com");
  await t.tell(account, FACTS);
  await t.dispatcher.deliverDue();
  expect((await outbox(account))[0]).toMatchObject({ status: "failed", attempts: 1 });
});

test("text that an account chose starts no header and no second recipient", async () => {
  const account = await t.newAccount("ops@example.com");
  await t.tell(account, { ...FACTS, meter: "x\r\nBcc: victim@example.com\r\n\r\nhello" });
  await t.dispatcher.deliverDue();
  const [mail] = mails.splice(0) as [Mail];
  expect(mail.to).toEqual(["ops@example.com"]);
  expect(mail.text.split("\r\n\r\n", 1)[0]).not.toMatch(/^Bcc:/im);
});

test("without a server mail waits, and is not sent when it is old news", async () => {
  const without = t.another({ mail: null });
  const account = await t.newAccount("ops@example.com");
  await t.tell(account, FACTS);
  await without.deliverDue();
  expect((await outbox(account))[0]).toMatchObject({ status: "pending", attempts: 0 });
  t.clock.advance(4 * 86_400_000);
  await t.dispatcher.deliverDue();
  expect(mails).toEqual([]);
});
