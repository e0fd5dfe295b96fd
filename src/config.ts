import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";

/** What the environment says, checked once. Nothing else in Weir reads process.env for its settings. */
export interface Config {
  host: string;
  /** 0 lets the system choose one. */
  port: number;
  /** Null: Weir starts a Postgres of its own. */
  databaseUrl: string | null;
  /** Other ways to the database that `databaseUrl` names. */
  database: {
    /** A pooler in transaction mode; null for none. */
    pooledUrl: string | null;
    /** A replica; null for none. */
    readUrl: string | null;
  };
  /** One server, or nodes of a cluster. Null: Weir starts a Redis of its own. */
  redisUrl: string | readonly string[] | null;
  /** The operator's key; null: the one in `credentials.json`, made on the first start. */
  adminKey: string | null;
  /** Absolute. */
  dataDir: string;
  /** An admin may set the clock over HTTP. */
  testClock: boolean;
  /** Webhooks may go to private and loopback addresses. */
  webhookAllowPrivate: boolean;
  /** How notifications are mailed; null: they are not. */
  mail: { smtpUrl: string; from: string } | null;
  /** Whose names the API and the alarms speak: Weir's own, or also those of the platform it takes over from. */
  profile: Profile;
  logLevel: LogLevel;
  /** Whose X-Forwarded-For is believed: so many proxies in front, or those at these addresses; null: nobody's. */
  trustProxy: number | string[] | null;
  /** Files of a certificate and its key, PEM: the API is served over TLS. Null: over plain HTTP. */
  tls: { cert: string; key: string } | null;
  /** Where what only the operator may call is answered, and nowhere else; null: with everything else. */
  admin: { host: string; port: number } | null;
  /** How long after a month's end its invoice stays a draft, for usage that comes late. */
  invoiceGraceHours: number;
  /** After so many whole months hours of usage are summed by day, and months let go; null: never. */
  retention: { hoursKeptMonths: number | null; ledgerKeptMonths: number | null };
  /** Accounts whose plain checks are spread over several slots of a Redis Cluster → over how many. */
  hotAccounts: ReadonlyMap<string, number>;
  /** Who collects what is billed; null: nobody is told. */
  payments: PaymentConfig | null;
}

/** `from`: what was final before, epoch ms, is left alone; null: nothing is. `meters`: what a meter is called there, of those that are counted there. */
export type PaymentConfig =
  | { provider: "manual"; from: number | null; meters: Readonly<Record<string, string>> }
  | {
      provider: "stripe";
      from: number | null;
      meters: Readonly<Record<string, string>>;
      stripe: { secretKey: string; webhookSecret: string; apiUrl: string | null; daysUntilDue: number };
    };

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const PROFILES = ["weir", "tovuk"] as const;
export type Profile = (typeof PROFILES)[number];

/** Bad configuration; `message` is the one sentence that says which variable, what it holds and what it may hold. */
export class ConfigError extends Error {}

const PORT_MAX = 65_535;
/** A month: a longer grace would leave two months open at once. */
const GRACE_HOURS_MAX = 744;
/** A year. */
const DAYS_UNTIL_DUE_MAX = 365;
/** Below this a key can be guessed. */
const ADMIN_KEY_LENGTH_MIN = 8;
const ADMIN_KEY_LENGTH_MAX = 256;

const hostName = z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, "must be a host name or an address");

const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from 0 to ${max}`)
    .transform(Number)
    .refine((n) => n <= max, `must be a whole number from 0 to ${max}`);

const flag = z
  .enum(["0", "1", "false", "true"], "must be 1 or 0")
  .transform((text) => text === "1" || text === "true")
  .default(false);

/** An invoice looks back two months for usage that came late. */
const HOURS_KEPT_MONTHS_MIN = 3;
/** By hour a history reaches back 400 days. sql/migrations/0045 keeps as much, whatever is said here. */
const LEDGER_KEPT_MONTHS_MIN = 14;
const KEPT_MONTHS_MAX = 120;
const keptMonths = (min: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,3}$/.test(text) && Number(text) >= min && Number(text) <= KEPT_MONTHS_MAX,
      `must be a whole number from ${min} to ${KEPT_MONTHS_MAX}`,
    )
    .transform(Number)
    .optional();

const serverUrl = (protocols: readonly string[], example: string) =>
  z
    .string()
    .refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), `must be a URL such as ${example}`)
    .optional();

/** Beyond this nobody counts the proxies in front of a server right. */
const PROXY_HOPS_MAX = 8;
/** Names for the ranges that are private to a machine, a link or a site. */
const PROXY_RANGES = ["loopback", "linklocal", "uniquelocal"];

const isAddressRange = (text: string): boolean => {
  const [, address = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  return PROXY_RANGES.includes(text) || (version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128));
};

const proxies = z
  .string()
  .transform((text) => (/^\d{1,3}$/.test(text) ? Number(text) : text.split(",").map((part) => part.trim())))
  .refine(
    (trust) => (typeof trust === "number" ? trust <= PROXY_HOPS_MAX : trust.every(isAddressRange)),
    `must be how many proxies stand in front, at most ${PROXY_HOPS_MAX}, or their addresses, such as 10.0.0.0/8,loopback`,
  )
  .optional();

/** `meter=name` pairs, with commas between. */
const METER_NAMES = /^[a-z][a-z0-9_]{0,63}=[^\s=,]{1,100}(?:,[a-z][a-z0-9_]{0,63}=[^\s=,]{1,100})*$/;
/** 100 pairs of the longest. */
const METER_NAMES_LENGTH_MAX = 16_600;

const HOT_PAIRS = /^[\w.:-]{1,64}=(?:[2-9]|1[0-6])(?:,[\w.:-]{1,64}=(?:[2-9]|1[0-6])){0,99}$/;
const hotAccounts = z.string().regex(HOT_PAIRS, "must be pairs of an account and its 2 to 16 slots, such as acme=4,globex=8");

/** A key of Stripe's, or a secret that it signs with. */
const stripeSecret = (example: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{8,256}$/, `must be what Stripe's dashboard shows, such as ${example}`)
    .optional();

const SCHEMA = z
  .object({
    WEIR_HOST: hostName.default("127.0.0.1"),
    PORT: wholeNumber(PORT_MAX).default(8787),
    DATABASE_URL: serverUrl(["postgres:", "postgresql:"], "postgres://user:password@host:5432/weir"),
    DATABASE_POOLED_URL: serverUrl(["postgres:", "postgresql:"], "postgres://user:password@host:6432/weir"),
    DATABASE_READ_URL: serverUrl(["postgres:", "postgresql:"], "postgres://user:password@replica:5432/weir"),
    REDIS_URL: serverUrl(["redis:", "rediss:"], "redis://:password@host:6379"),
    REDIS_CLUSTER_NODES: z
      .string()
      .refine(
        (text) => text.split(",").every((node) => /^(?:rediss?:\/\/[^\s,]*)?[^\s,/]+:\d{1,5}$/.test(node.trim())),
        "must be host:port pairs, or URLs such as redis://:password@host:6379, separated by commas",
      )
      .transform((text) => text.split(",").map((node) => node.trim()))
      .optional(),
    WEIR_ADMIN_KEY: z
      .string()
      .regex(
        new RegExp(`^[\\x21-\\x7e]{${ADMIN_KEY_LENGTH_MIN},${ADMIN_KEY_LENGTH_MAX}}$`),
        `must be ${ADMIN_KEY_LENGTH_MIN} to ${ADMIN_KEY_LENGTH_MAX} printable ASCII characters without spaces`,
      )
      .optional(),
    WEIR_DATA_DIR: z.string().default(".weir"),
    WEIR_TEST_CLOCK: flag,
    WEIR_WEBHOOK_ALLOW_PRIVATE: flag,
    WEIR_SMTP_URL: serverUrl(["smtp:", "smtps:"], "smtp://user:password@host:587"),
    WEIR_MAIL_FROM: z
      .string()
      .max(320)
      .regex(/^(?:[^<>\r\n]* )?<?[^\s<>@]+@[^\s<>@]+>?$/, "must be an address such as Weir <weir@example.com>")
      .optional(),
    WEIR_PROFILE: z.enum(PROFILES, `must be one of ${PROFILES.join(", ")}`).default("weir"),
    LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`).default("warn"),
    WEIR_TRUST_PROXY: proxies,
    WEIR_TLS_CERT: z.string().optional(),
    WEIR_TLS_KEY: z.string().optional(),
    WEIR_ADMIN_HOST: hostName.default("127.0.0.1"),
    WEIR_ADMIN_PORT: wholeNumber(PORT_MAX).optional(),
    WEIR_INVOICE_GRACE_HOURS: wholeNumber(GRACE_HOURS_MAX).default(24),
    WEIR_HOURS_KEPT_MONTHS: keptMonths(HOURS_KEPT_MONTHS_MIN),
    WEIR_LEDGER_KEPT_MONTHS: keptMonths(LEDGER_KEPT_MONTHS_MIN),
    WEIR_HOT_ACCOUNTS: hotAccounts.optional(),
    WEIR_PAYMENTS: z.enum(["manual", "stripe"], "must be manual or stripe").optional(),
    WEIR_PAYMENTS_FROM: z.iso.datetime("must be an instant such as 2026-12-01T00:00:00Z").optional(),
    WEIR_STRIPE_SECRET_KEY: stripeSecret("sk_live_… or rk_live_…"),
    WEIR_STRIPE_WEBHOOK_SECRET: stripeSecret("whsec_…"),
    WEIR_STRIPE_API_URL: serverUrl(["http:", "https:"], "https://api.stripe.com"),
    WEIR_STRIPE_METERS: z
      .string()
      .max(METER_NAMES_LENGTH_MAX)
      .regex(METER_NAMES, "must be pairs of a meter and its event name at Stripe, such as state_requests=requests,log_events=logs")
      .optional(),
    WEIR_STRIPE_DAYS_UNTIL_DUE: wholeNumber(DAYS_UNTIL_DUE_MAX).default(30),
    NODE_ENV: z.string().optional(),
  })
  .superRefine((env, context) => {
    if (env.WEIR_TEST_CLOCK && env.NODE_ENV === "production") {
      context.addIssue({
        code: "custom",
        path: ["WEIR_TEST_CLOCK"],
        message: "is refused when NODE_ENV is production: its clock bills wrong days",
      });
    }
    if (env.WEIR_SMTP_URL !== undefined && env.WEIR_MAIL_FROM === undefined) {
      context.addIssue({ code: "custom", path: ["WEIR_MAIL_FROM"], message: "is needed with WEIR_SMTP_URL: mail wants a sender" });
    }
    for (const name of ["WEIR_STRIPE_SECRET_KEY", "WEIR_STRIPE_WEBHOOK_SECRET"] as const) {
      if (env.WEIR_PAYMENTS === "stripe" && env[name] === undefined)
        context.addIssue({ code: "custom", path: [name], message: "is needed with WEIR_PAYMENTS=stripe" });
    }
    for (const way of ["DATABASE_POOLED_URL", "DATABASE_READ_URL"] as const) {
      if (env[way] === undefined || env.DATABASE_URL !== undefined) continue;
      context.addIssue({ code: "custom", path: [way], message: "needs DATABASE_URL too: it is another way to that database" });
    }
    if ((env.WEIR_TLS_CERT === undefined) !== (env.WEIR_TLS_KEY === undefined)) {
      const lacking = env.WEIR_TLS_CERT === undefined ? "WEIR_TLS_CERT" : "WEIR_TLS_KEY";
      context.addIssue({ code: "custom", path: [lacking], message: "is needed too: a certificate and its key are two files" });
    }
    if (env.REDIS_CLUSTER_NODES !== undefined && env.REDIS_URL !== undefined) {
      const message = "and REDIS_URL exclude each other: name the cluster or the one server";
      context.addIssue({ code: "custom", path: ["REDIS_CLUSTER_NODES"], message });
    }
  });

/** Values that are never repeated in a message. */
const SECRET = new Set([
  "DATABASE_URL",
  "DATABASE_POOLED_URL",
  "DATABASE_READ_URL",
  "REDIS_URL",
  "REDIS_CLUSTER_NODES",
  "WEIR_ADMIN_KEY",
  "WEIR_SMTP_URL",
  "WEIR_STRIPE_SECRET_KEY",
  "WEIR_STRIPE_WEBHOOK_SECRET",
]);

/** Reads Weir's settings; an empty variable counts as absent. Throws ConfigError with one sentence that names every fault. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([name, value]) => name in SCHEMA.shape && value !== ""));
  const parsed = SCHEMA.safeParse(given);
  if (!parsed.success) {
    const faults = new Map<string, string>();
    for (const { path, message } of parsed.error.issues) {
      const name = String(path[0]);
      const shown = SECRET.has(name) || !message.startsWith("must") ? "" : `, not "${env[name]}"`;
      if (!faults.has(name)) faults.set(name, `${name} ${message}${shown}`);
    }
    throw new ConfigError(`${[...faults.values()].join("; ")}.`);
  }
  const found = parsed.data;
  return {
    host: found.WEIR_HOST,
    port: found.PORT,
    databaseUrl: found.DATABASE_URL ?? null,
    database: { pooledUrl: found.DATABASE_POOLED_URL ?? null, readUrl: found.DATABASE_READ_URL ?? null },
    redisUrl: found.REDIS_CLUSTER_NODES ?? found.REDIS_URL ?? null,
    adminKey: found.WEIR_ADMIN_KEY ?? null,
    dataDir: resolve(found.WEIR_DATA_DIR),
    testClock: found.WEIR_TEST_CLOCK,
    webhookAllowPrivate: found.WEIR_WEBHOOK_ALLOW_PRIVATE,
    mail:
      found.WEIR_SMTP_URL === undefined || found.WEIR_MAIL_FROM === undefined
        ? null
        : { smtpUrl: found.WEIR_SMTP_URL, from: found.WEIR_MAIL_FROM },
    profile: found.WEIR_PROFILE,
    logLevel: found.LOG_LEVEL,
    trustProxy: found.WEIR_TRUST_PROXY ?? null,
    tls:
      found.WEIR_TLS_CERT === undefined || found.WEIR_TLS_KEY === undefined
        ? null
        : { cert: resolve(found.WEIR_TLS_CERT), key: resolve(found.WEIR_TLS_KEY) },
    admin: found.WEIR_ADMIN_PORT === undefined ? null : { host: found.WEIR_ADMIN_HOST, port: found.WEIR_ADMIN_PORT },
    invoiceGraceHours: found.WEIR_INVOICE_GRACE_HOURS,
    retention: { hoursKeptMonths: found.WEIR_HOURS_KEPT_MONTHS ?? null, ledgerKeptMonths: found.WEIR_LEDGER_KEPT_MONTHS ?? null },
    hotAccounts: slotsIn(found.WEIR_HOT_ACCOUNTS),
    payments: paymentsIn(found),
  };
}

const slotsIn = (pairs = ""): Config["hotAccounts"] =>
  new Map([...pairs.matchAll(/([^,=]+)=(\d+)/g)].map(([, account = "", slots]) => [account, Number(slots)]));

function paymentsIn(found: z.infer<typeof SCHEMA>): PaymentConfig | null {
  const { WEIR_PAYMENTS: provider, WEIR_STRIPE_SECRET_KEY: secretKey, WEIR_STRIPE_WEBHOOK_SECRET: webhookSecret } = found;
  const from = found.WEIR_PAYMENTS_FROM === undefined ? null : Date.parse(found.WEIR_PAYMENTS_FROM);
  if (provider === "manual") return { provider, from, meters: {} };
  if (provider === undefined || secretKey === undefined || webhookSecret === undefined) return null;
  const stripe = { secretKey, webhookSecret, apiUrl: found.WEIR_STRIPE_API_URL ?? null, daysUntilDue: found.WEIR_STRIPE_DAYS_UNTIL_DUE };
  const pairs = found.WEIR_STRIPE_METERS?.split(",").map((pair) => pair.split("=")) ?? [];
  return { provider, from, meters: Object.fromEntries(pairs.map(([meter = "", name = ""]) => [meter, name])), stripe };
}
