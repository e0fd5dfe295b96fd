import { putAccount } from "../../src/accounts/account-store.ts";
import { ManualClock, systemClock } from "../../src/kernel/clock.ts";
import { listDeliveries } from "../../src/notifications/delivery-store.ts";
import type { Delivery } from "../../src/notifications/delivery.ts";
import { Dispatcher, type DispatcherOptions } from "../../src/notifications/dispatcher.ts";
import { notify } from "../../src/notifications/notification-store.ts";
import { secretText } from "../../src/notifications/signature.ts";
import { createWebhook } from "../../src/notifications/webhook-store.ts";
import { openPostgres, type Db } from "../../src/stores/database.ts";
import { LOOPBACK } from "./loopback.ts";
import { createTestStack, type TestStack } from "./stack.ts";

/** A hanging receiver is given up after this, so that a test need not take ten seconds. */
const POST_TIMEOUT_MS = 600;

/** An outbox with dispatchers and nothing else, and a clock that moves when it is told. */
export interface TestOutbox {
  db: Db;
  stack: TestStack;
  clock: ManualClock;
  dispatcher: Dispatcher;
  newAccount(email?: string): Promise<string>;
  newWebhook(account: string, url: string, events?: string[]): Promise<{ id: string; secret: string }>;
  /** Says something new to the account. */
  tell(account: string, data?: Record<string, unknown>): Promise<void>;
  deliveries(account: string, webhook: string): Promise<Delivery[]>;
  /** Another process' dispatcher. */
  another(options?: DispatcherOptions): Dispatcher;
  stop(): Promise<void>;
}

/** The clock starts at the machine's time, because receivers compare a message's time with theirs. */
export async function openTestOutbox(options: DispatcherOptions = {}): Promise<TestOutbox> {
  const stack = await createTestStack();
  const postgres = openPostgres(stack.databaseUrl);
  const { db } = postgres;
  const clock = new ManualClock(systemClock.now());
  const dispatchers: Dispatcher[] = [];
  const another = (more: DispatcherOptions = {}): Dispatcher => {
    const made = new Dispatcher(db, clock, { egress: LOOPBACK, postTimeoutMs: POST_TIMEOUT_MS, random: () => 0, ...options, ...more });
    dispatchers.push(made);
    return made;
  };
  let count = 0;
  return {
    db,
    stack,
    clock,
    dispatcher: another(),
    another,
    newAccount: async (email) => {
      const account = `acct_${++count}`;
      await putAccount(db, account, email === undefined ? {} : { email }, { defaultPlan: "free", bucketStart: clock.now() }, clock.now());
      return account;
    },
    newWebhook: async (account, url, events = []) => {
      const made = await createWebhook(db, account, { url, events, description: null }, clock.now());
      if (!made) throw new Error("no room for another webhook");
      return { id: made.webhook.id, secret: secretText(made.secret) };
    },
    tell: async (account, data = {}) => {
      await notify(db, account, `test/${++count}`, "usage.limit_reached", data, clock.now());
    },
    deliveries: (account, webhook) => listDeliveries(db, account, webhook, { after: null, limit: 1_000 }),
    stop: async () => {
      await Promise.all(dispatchers.map((one) => one.stop()));
      await postgres.close();
      await stack.stop();
    },
  };
}
