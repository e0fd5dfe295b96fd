import { join } from "node:path";
import { buildApp, type App } from "../../src/http/app.ts";
import type { Profile } from "../../src/config.ts";
import { KEEP_ALL, type Retention } from "../../src/ledger/upkeep.ts";
import type { PaymentOptions } from "../../src/payments/open-adapter.ts";
import { openState } from "../../src/state/open-state.ts";
import type { State } from "../../src/state/state.ts";
import { LOOPBACK } from "./loopback.ts";
import { openTestEngine, type TestEngine } from "./engine.ts";

export const ADMIN_KEY = "the-operators-own-key";

/** The HTTP API over a test engine. */
export interface TestApp extends TestEngine {
  app: App;
  state: State;
  /** Sends one request as the operator, or with `key`; the body as JSON, or as it is where it is text. */
  send(method: "GET" | "POST" | "PUT" | "DELETE", url: string, options?: SendOptions): Promise<Answer>;
  /** A new key's secret. */
  key(scope: "account" | "read_only" | "data_plane" | "admin", account?: string): Promise<string>;
}

export interface SendOptions {
  body?: unknown;
  key?: string | null;
  account?: string;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  // A test names the members it looks at; what else is there is the API's affair.
  body: Record<string, unknown>;
}

/** Workers and webhooks may be on the loopback. `profile` is Weir's own unless told, nobody collects, and all usage is kept. */
export async function openTestApp(
  profile: Profile = "weir",
  payments: PaymentOptions | null = null,
  retention: Retention = KEEP_ALL,
): Promise<TestApp> {
  const t = await openTestEngine({ outbox: { egress: LOOPBACK }, payments, retention });
  const state = await openState(t.engine, join(t.stack.dataDir, "state"), t.onTrouble, profile);
  const runJobs = async (): Promise<void> => {
    await state.alarms.deliverDue();
    await state.settleTime();
  };
  const app = await buildApp({ engine: t.engine, state, adminKey: ADMIN_KEY, redisDurable: null, runJobs, profile });
  const send: TestApp["send"] = async (method, url, { body, key = ADMIN_KEY, account, headers = {} } = {}) => {
    const response = await app.inject({
      method,
      url,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(account === undefined ? {} : { "weir-account": account }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const isJson = /\bjson\b/.test(String(response.headers["content-type"]));
    return { status: response.statusCode, headers: response.headers, body: isJson ? response.json() : {} };
  };
  return {
    ...t,
    app,
    state,
    send,
    key: async (scope, account) => {
      const url = account === undefined ? "/v1/keys" : `/v1/accounts/${account}/keys`;
      const { body } = await send("POST", url, { body: { scope } });
      return String(body["key"]);
    },
    stop: async () => {
      await app.close();
      await state.close();
      await t.stop();
    },
  };
}
