import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, readConfig } from "../../src/config.ts";

describe("configuration", () => {
  test("has a default for everything", () => {
    expect(readConfig({})).toEqual({
      host: "127.0.0.1",
      port: 8787,
      databaseUrl: null,
      database: { pooledUrl: null, readUrl: null },
      redisUrl: null,
      adminKey: null,
      dataDir: resolve(".weir"),
      testClock: false,
      webhookAllowPrivate: false,
      mail: null,
      profile: "weir",
      logLevel: "warn",
      trustProxy: null,
      tls: null,
      admin: null,
      invoiceGraceHours: 24,
      retention: { hoursKeptMonths: null, ledgerKeptMonths: null },
      hotAccounts: new Map(),
      payments: null,
    });
  });

  test("takes an empty variable for an absent one, and minds no other variable", () => {
    expect(readConfig({ PORT: "", DATABASE_URL: "", WEIR_TEST_CLOCK: "", PATH: "/bin" })).toEqual(readConfig({}));
  });

  test("reads what is given", () => {
    const given = readConfig({
      PORT: "0",
      WEIR_HOST: "0.0.0.0",
      WEIR_TLS_CERT: "/etc/weir/cert.pem",
      WEIR_TLS_KEY: "/etc/weir/key.pem",
      WEIR_ADMIN_HOST: "10.0.0.5",
      WEIR_ADMIN_PORT: "8788",
      DATABASE_URL: "postgresql://u:p@db:5432/weir",
      DATABASE_POOLED_URL: "postgresql://u:p@pooler:6432/weir",
      DATABASE_READ_URL: "postgresql://u:p@replica/weir",
      REDIS_URL: "rediss://:p@cache:6380",
      WEIR_ADMIN_KEY: "an-operators-own-key",
      WEIR_DATA_DIR: "/srv/weir",
      WEIR_TEST_CLOCK: "1",
      WEIR_WEBHOOK_ALLOW_PRIVATE: "true",
      WEIR_SMTP_URL: "smtps://u:p@mail:465",
      WEIR_MAIL_FROM: "Weir <weir@example.com>",
      WEIR_PROFILE: "tovuk",
      LOG_LEVEL: "debug",
      WEIR_TRUST_PROXY: "10.0.0.0/8, ::1,loopback",
      WEIR_INVOICE_GRACE_HOURS: "0",
      WEIR_HOURS_KEPT_MONTHS: "13",
      WEIR_LEDGER_KEPT_MONTHS: "14",
      WEIR_HOT_ACCOUNTS: "acme=4,globex.eu=16",
      WEIR_PAYMENTS: "stripe",
      WEIR_PAYMENTS_FROM: "2026-12-01T00:00:00Z",
      WEIR_STRIPE_SECRET_KEY: "rk_live_1234",
      WEIR_STRIPE_WEBHOOK_SECRET: "whsec_1234",
      WEIR_STRIPE_API_URL: "http://127.0.0.1:12111",
      WEIR_STRIPE_DAYS_UNTIL_DUE: "14",
      WEIR_STRIPE_METERS: "state_requests=requests,log_events=logs",
    });
    expect(given).toEqual({
      host: "0.0.0.0",
      port: 0,
      databaseUrl: "postgresql://u:p@db:5432/weir",
      database: { pooledUrl: "postgresql://u:p@pooler:6432/weir", readUrl: "postgresql://u:p@replica/weir" },
      redisUrl: "rediss://:p@cache:6380",
      adminKey: "an-operators-own-key",
      dataDir: "/srv/weir",
      testClock: true,
      webhookAllowPrivate: true,
      mail: { smtpUrl: "smtps://u:p@mail:465", from: "Weir <weir@example.com>" },
      profile: "tovuk",
      logLevel: "debug",
      trustProxy: ["10.0.0.0/8", "::1", "loopback"],
      tls: { cert: "/etc/weir/cert.pem", key: "/etc/weir/key.pem" },
      admin: { host: "10.0.0.5", port: 8788 },
      invoiceGraceHours: 0,
      retention: { hoursKeptMonths: 13, ledgerKeptMonths: 14 },
      hotAccounts: new Map([
        ["acme", 4],
        ["globex.eu", 16],
      ]),
      payments: {
        provider: "stripe",
        from: Date.parse("2026-12-01T00:00:00Z"),
        meters: { state_requests: "requests", log_events: "logs" },
        stripe: { secretKey: "rk_live_1234", webhookSecret: "whsec_1234", apiUrl: "http://127.0.0.1:12111", daysUntilDue: 14 },
      },
    });
  });

  test("hands nothing over unless it is told to whom", () => {
    expect(readConfig({ WEIR_STRIPE_SECRET_KEY: "sk_live_1", WEIR_STRIPE_WEBHOOK_SECRET: "whsec_1234" }).payments).toBeNull();
    expect(readConfig({ WEIR_PAYMENTS: "manual" }).payments).toEqual({ provider: "manual", from: null, meters: {} });
  });

  test.each([
    [{ PORT: "65536" }, 'PORT must be a whole number from 0 to 65535, not "65536".'],
    [{ WEIR_HOURS_KEPT_MONTHS: "2" }, 'WEIR_HOURS_KEPT_MONTHS must be a whole number from 3 to 120, not "2".'],
    [{ WEIR_LEDGER_KEPT_MONTHS: "13" }, 'WEIR_LEDGER_KEPT_MONTHS must be a whole number from 14 to 120, not "13".'],
    [
      { WEIR_HOT_ACCOUNTS: "acme" },
      'WEIR_HOT_ACCOUNTS must be pairs of an account and its 2 to 16 slots, such as acme=4,globex=8, not "acme".',
    ],
    [
      { WEIR_HOT_ACCOUNTS: "acme=17" },
      'WEIR_HOT_ACCOUNTS must be pairs of an account and its 2 to 16 slots, such as acme=4,globex=8, not "acme=17".',
    ],
    [{ PORT: "-1" }, 'PORT must be a whole number from 0 to 65535, not "-1".'],
    [{ PORT: "80.5" }, 'PORT must be a whole number from 0 to 65535, not "80.5".'],
    [{ LOG_LEVEL: "loud" }, 'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent, not "loud".'],
    [{ WEIR_PROFILE: "none" }, 'WEIR_PROFILE must be one of weir, tovuk, not "none".'],
    [{ WEIR_TEST_CLOCK: "yes" }, 'WEIR_TEST_CLOCK must be 1 or 0, not "yes".'],
    [{ WEIR_TLS_CERT: "cert.pem" }, "WEIR_TLS_KEY is needed too: a certificate and its key are two files."],
    [{ WEIR_TLS_KEY: "key.pem" }, "WEIR_TLS_CERT is needed too: a certificate and its key are two files."],
    [{ WEIR_ADMIN_PORT: "70000" }, 'WEIR_ADMIN_PORT must be a whole number from 0 to 65535, not "70000".'],
    [{ WEIR_HOST: "a b" }, 'WEIR_HOST must be a host name or an address, not "a b".'],
    [{ WEIR_INVOICE_GRACE_HOURS: "1e3" }, 'WEIR_INVOICE_GRACE_HOURS must be a whole number from 0 to 744, not "1e3".'],
    [
      { WEIR_STRIPE_METERS: "state_requests" },
      'WEIR_STRIPE_METERS must be pairs of a meter and its event name at Stripe, such as state_requests=requests,log_events=logs, not "state_requests".',
    ],
    [{ WEIR_PAYMENTS: "paypal" }, 'WEIR_PAYMENTS must be manual or stripe, not "paypal".'],
    [
      { WEIR_PAYMENTS: "stripe", WEIR_STRIPE_SECRET_KEY: "sk_live_1234" },
      "WEIR_STRIPE_WEBHOOK_SECRET is needed with WEIR_PAYMENTS=stripe.",
    ],
    [
      { REDIS_CLUSTER_NODES: "a:1,b:2", REDIS_URL: "redis://c" },
      "REDIS_CLUSTER_NODES and REDIS_URL exclude each other: name the cluster or the one server.",
    ],
    [
      { REDIS_CLUSTER_NODES: "a" },
      "REDIS_CLUSTER_NODES must be host:port pairs, or URLs such as redis://:password@host:6379, separated by commas.",
    ],
    [{ DATABASE_POOLED_URL: "postgres://pooler/weir" }, "DATABASE_POOLED_URL needs DATABASE_URL too: it is another way to that database."],
    [
      { WEIR_TEST_CLOCK: "1", NODE_ENV: "production" },
      "WEIR_TEST_CLOCK is refused when NODE_ENV is production: its clock bills wrong days.",
    ],
  ])("refuses %j in one sentence", (env, sentence) => {
    expect(() => readConfig(env)).toThrow(new ConfigError(sentence));
  });

  test.each([
    ["DATABASE_URL", "mysql://root:hunter2@db/weir"],
    ["DATABASE_URL", "hunter2"],
    ["DATABASE_READ_URL", "mysql://root:hunter2@db/weir"],
    ["DATABASE_POOLED_URL", "mysql://root:hunter2@db/weir"],
    ["REDIS_URL", "http://:hunter2@cache"],
    ["WEIR_ADMIN_KEY", "hunter2"],
    ["WEIR_STRIPE_SECRET_KEY", "hunter2"],
  ])("never repeats a secret: %s", (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^${name} must be`));
    expect(() => readConfig({ [name]: value })).not.toThrow(/hunter2/);
  });
});
