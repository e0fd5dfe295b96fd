import type { FastifyReply } from "fastify";
import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import { meter as meterOf } from "../../catalog/catalog.ts";
import type { Engine } from "../../engine.ts";
import { notFound, validationFailed, WeirError } from "../../kernel/errors.ts";
import { METER_PATTERN } from "../../kernel/ids.ts";
import { DAY_MS, parseInstant, type Window } from "../../kernel/window.ts";
import { GRANULARITIES, type HistoryPoint } from "../../usage/history.ts";
import { levelHistory, usageHistory } from "../../usage/history-store.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { seriesAsCsv, seriesAsJson } from "../series-text.ts";

/** Longest history in one answer, by granularity, in days: a year of hours is 8,760 points. */
const HISTORY_DAYS_MAX = { hour: 400, day: 4_000, month: 40_000 };
const HISTORY_DAYS_DEFAULT = { hour: 1, day: 30, month: 365 };
const CSV = "text/csv; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";

const DESCRIPTION = [
  "Hours and days are UTC; a month is the account's billing month, so its point is what `GET /v1/usage` showed for it.",
  "Every span that touches `[from, to)` is answered whole, oldest first; `from` and `to` default to the last day, 30 days or year.",
  "It includes every answered check and event; while Redis is away, those that are booked.",
  'Of a counter a point is what was used in the span, corrections included (in the group `""`: they belong to no service); spans without either are',
  "left out. Of a gauge it is the level at the span's end (so far, in the one under way), carried on where nothing changed, and kept",
  "per account only: it takes no `groupBy`. Usage that a deployment does not keep is refused and never left out: `validation_failed` then names",
  "in `from` the earliest time there is. At most 400 days by hour, 4,000 by day and 40,000 by month.",
  "CSV with `Accept: text/csv` or `format=csv`: a header line, then `start,quantity` and, where grouped, `group`.",
].join(" ");

const time = z
  .string()
  .max(40)
  .refine((text) => instantOf(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z, or a date");

const historyQuery = z.strictObject({
  meter: z.string().regex(METER_PATTERN),
  granularity: z.enum(GRANULARITIES).default("hour"),
  from: time.optional(),
  to: time.optional(),
  groupBy: z.enum(["service", "namespace"]).optional(),
  format: z.enum(["json", "csv"]).optional(),
});
type Query = z.infer<typeof historyQuery>;

const seriesSchema = z.object({
  series: z.array(z.object({ start: z.iso.datetime(), quantity: z.int(), group: z.string().optional() })),
});

/** What an account has used over time. */
export function historyRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/usage/history",
    ...allow("account", "read_only", "admin", "data_plane"),
    schema: {
      tags: ["usage"],
      summary: "Usage of one meter over time, by hour, day or billing month",
      description: DESCRIPTION,
      querystring: historyQuery,
      response: {
        200: {
          description: "The series",
          content: { "application/json": { schema: seriesSchema }, "text/csv": { schema: z.string() } },
        },
      },
    },
    handler: async (request, reply) => {
      const { query } = request;
      const series = await seriesOf(engine, accountOf(request), query);
      const csv = query.format === undefined ? wantsCsv(request.headers.accept) : query.format === "csv";
      // A cache must not hand the one form to whoever asks for the other.
      void reply.header("vary", "accept");
      return csv
        ? sendBytes(reply, CSV, seriesAsCsv(series, query.groupBy !== undefined))
        : sendBytes(reply, JSON_TYPE, seriesAsJson(series));
    },
  });
}

/** A buffer goes out as it is, past every serializer. */
const sendBytes = (reply: FastifyReply, type: string, bytes: Buffer): FastifyReply => reply.type(type).send(bytes);

async function seriesOf(engine: Engine, accountId: string, query: Query): Promise<HistoryPoint[]> {
  const now = engine.clock.now();
  const stretch = stretchOf(query, now);
  const { name, kind } = meterOf(engine.catalog, query.meter);
  if (kind === "gauge" && query.groupBy !== undefined)
    throw validationFailed([{ path: "groupBy", message: "must be left out: the levels of a gauge are kept per account" }]);
  const account = await findAccount(engine.walled, accountId, now);
  if (!account) throw notFound(`Account ${accountId}`);
  // Booked first, so that the answer holds what was answered before it.
  await engine.bookAccount(accountId).catch(unlessAway);
  const { granularity } = query;
  const asked = { account: accountId, meter: name, granularity, stretch, calendar: account.calendar };
  return kind === "gauge" ? levelHistory(engine.reads, asked, now) : usageHistory(engine.reads, asked, query.groupBy ?? null);
}

/** A Redis that is away does not keep what is booked from being told. */
function unlessAway(error: unknown): void {
  if (!(error instanceof WeirError && error.code === "unavailable")) throw error;
}

/** Of a bare date the midnight it begins with, UTC, as the spans do. */
const instantOf = (text: string): number | null => parseInstant(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);

function stretchOf(query: Query, now: number): Window {
  const { granularity } = query;
  const end = query.to === undefined ? now + 1 : (instantOf(query.to) ?? now);
  const start = query.from === undefined ? end - HISTORY_DAYS_DEFAULT[granularity] * DAY_MS : (instantOf(query.from) ?? end);
  if (start > end) throw validationFailed([{ path: "from", message: "must not be after to" }]);
  const longest = HISTORY_DAYS_MAX[granularity];
  if (end - start > longest * DAY_MS)
    throw validationFailed([{ path: "from", message: `may be at most ${longest} days before to by ${granularity}` }]);
  return { start, end };
}

/** Whether a request that names no `format` is for CSV: it accepts that, and not JSON before it. */
function wantsCsv(accept: string | undefined): boolean {
  const types = (accept ?? "")
    .toLowerCase()
    .split(",")
    .map((part) => part.split(";", 1)[0]?.trim());
  const csv = types.indexOf("text/csv");
  const json = types.indexOf("application/json");
  return csv >= 0 && (json < 0 || csv < json);
}
