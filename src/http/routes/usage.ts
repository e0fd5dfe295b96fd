import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import { meter as meterOf } from "../../catalog/catalog.ts";
import type { Engine } from "../../engine.ts";
import { notFound, validationFailed } from "../../kernel/errors.ts";
import { METER_PATTERN } from "../../kernel/ids.ts";
import { DAY_MS, iso, parseInstant } from "../../kernel/window.ts";
import { usageHistory } from "../../usage/history-store.ts";
import { capSchema, limitStateSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";

const tags = ["usage"];
const instant = z.iso.datetime();
const quantity = z.int();
const window = z.object({ start: instant, end: instant });
const quantities = z.record(z.string(), quantity);

/** Longest history in one answer, by granularity, in days: a year of hours is 8,760 points. */
const HISTORY_DAYS_MAX = { hour: 400, day: 4_000, month: 40_000 };
const HISTORY_DAYS_DEFAULT = { hour: 1, day: 30, month: 365 };

const estimateLine = z.object({
  product: z.string(),
  meter: z.string(),
  currentMonthUsed: quantity,
  includedPerMonth: quantity.nullable(),
  billableAmount: quantity,
  usageUnit: z.string(),
  billingUnit: z.string(),
  billingUnitSize: quantity,
  priceUsdMicrosPerBillingUnit: z.number().nullable(),
  rounding: z.enum(["prorated_to_micro_usd", "next_billing_unit"]),
  estimatedUsdMicros: quantity,
  estimateBasis: z.enum(["current_month_usage_window", "current_storage_bytes_as_full_month"]),
});

export const usageSchema = z.object({
  account: z.string(),
  plan: z.string(),
  asOf: instant,
  windows: z.object({ day: window, month: window }),
  usage: z.object({ meters: z.object({ day: quantities, month: quantities }) }),
  meters: z.array(
    z.object({
      meter: z.string(),
      unit: z.string(),
      kind: z.enum(["counter", "gauge"]),
      period: z.enum(["day", "month"]).nullable(),
      used: quantity,
      reserved: quantity,
      limit: quantity.nullable(),
      remaining: quantity.nullable(),
      percent: z.number().nullable(),
      state: limitStateSchema,
      source: z.enum(["plan", "cap"]).nullable(),
      resetsAt: instant.nullable(),
      projectedExhaustionAt: instant.nullable(),
      stranded: quantity,
    }),
  ),
  usageCaps: z.array(capSchema),
  billingEstimate: z.object({
    currency: z.string(),
    plan: z.string(),
    paidOveragesEnabled: z.boolean(),
    subscriptionUsdMicrosPerMonth: quantity,
    currentMonthOverageUsdMicros: quantity,
    estimatedMonthlyTotalUsdMicros: quantity,
    lineItems: z.array(estimateLine),
    nextActions: z.array(z.string()),
  }),
});

const time = z
  .string()
  .max(40)
  .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z");

const historyQuery = z.strictObject({
  meter: z.string().regex(METER_PATTERN),
  granularity: z.enum(["hour", "day", "month"]).default("hour"),
  from: time.optional(),
  to: time.optional(),
  groupBy: z.enum(["service", "namespace"]).optional(),
});

/** What an account has used: now, and over time. */
export function usageRoutes(app: App, engine: Engine): void {
  const read = allow("account", "read_only", "admin", "data_plane");

  app.route({
    method: "GET",
    url: "/v1/usage",
    ...read,
    schema: {
      tags,
      summary: "Usage, limits in force, caps and the bill so far; includes every answered check",
      response: { 200: usageSchema },
    },
    handler: (request) => engine.usage(accountOf(request)),
  });

  app.route({
    method: "GET",
    url: "/v1/usage/history",
    ...read,
    schema: {
      tags,
      summary: "Booked usage of one meter by UTC hour, day or month",
      querystring: historyQuery,
      response: { 200: z.object({ series: z.array(z.object({ start: instant, quantity, group: z.string().optional() })) }) },
    },
    handler: async (request) => {
      const query = historyOf(request.query, engine.clock.now());
      meterOf(engine.catalog, query.meter);
      const account = accountOf(request);
      if (!(await findAccount(engine.db, account, engine.clock.now()))) throw notFound(`Account ${account}`);
      const series = await usageHistory(engine.db, { account, ...query });
      return { series: series.map((point) => ({ ...point, start: iso(point.start) })) };
    },
  });
}

function historyOf(query: z.infer<typeof historyQuery>, now: number) {
  const { meter, granularity, groupBy } = query;
  const to = query.to === undefined ? now + 1 : (parseInstant(query.to) ?? now);
  const from = query.from === undefined ? to - HISTORY_DAYS_DEFAULT[granularity] * DAY_MS : (parseInstant(query.from) ?? to);
  if (from > to) throw validationFailed([{ path: "from", message: "must not be after to" }]);
  const longest = HISTORY_DAYS_MAX[granularity];
  if (to - from > longest * DAY_MS)
    throw validationFailed([{ path: "from", message: `may be at most ${longest} days before to by ${granularity}` }]);
  return { meter, granularity, from, to, groupBy: groupBy ?? null };
}
