import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { WeirError } from "../../kernel/errors.ts";
import { DAY_MS } from "../../kernel/window.ts";
import type { UsageFigures } from "../../usage/report.ts";
import { accountsToldSince } from "../../usage/standing-store.ts";
import { limitStateSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";

/** No window that is open began earlier; a level may have been told of before, and is found when it moves. */
const TOLD_WITHIN_MS = 31 * DAY_MS;
/** Each is looked at in full: about 5 ms. */
const ACCOUNTS_MAX = 100;
/** Looked at together. */
const AT_ONCE = 10;

const standingSchema = z.object({
  account: z.string(),
  plan: z.string(),
  meter: z.string(),
  unit: z.string(),
  period: z.enum(["day", "month"]).nullable(),
  used: z.int(),
  reserved: z.int(),
  limit: z.int(),
  percent: z.number().nullable(),
  state: limitStateSchema,
  source: z.enum(["plan", "cap"]),
  hardStop: z.boolean(),
  resetsAt: z.iso.datetime().nullable(),
});
type Standing = z.infer<typeof standingSchema>;

/** Who is near a limit, and who is stopped by one. */
export function standingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/standings",
    ...allow("admin"),
    schema: {
      tags: ["operation"],
      summary: "Accounts near a limit or stopped by one, the fullest first",
      description:
        `Of the ${ACCOUNTS_MAX} accounts that were told of a threshold last, within 31 days: every meter that is at its notify mark or past it ` +
        "now. `hardStop` is false where a cap only tells.",
      response: { 200: z.object({ standings: z.array(standingSchema), nextCursor: z.null() }) },
    },
    handler: async () => {
      const standings: Standing[] = [];
      const accounts = await accountsToldSince(engine.reads, engine.clock.now() - TOLD_WITHIN_MS, ACCOUNTS_MAX);
      for (let i = 0; i < accounts.length; i += AT_ONCE) {
        const reports = await Promise.all(accounts.slice(i, i + AT_ONCE).map((account) => usageOf(engine, account)));
        standings.push(...reports.flatMap(standingsOf));
      }
      standings.sort((a, b) => (b.percent ?? 0) - (a.percent ?? 0));
      return { standings, nextCursor: null };
    },
  });
}

/** Null for an account that is gone by now. */
async function usageOf(engine: Engine, account: string): Promise<UsageFigures | null> {
  return engine.usageFigures(account).catch((error: unknown) => {
    if (error instanceof WeirError && error.code === "not_found") return null;
    throw error;
  });
}

function standingsOf(usage: UsageFigures | null): Standing[] {
  if (!usage) return [];
  const { account, plan } = usage;
  const limits = usage.meters.flatMap(({ meter, unit, period, used, reserved, limit, percent, state, source, resetsAt }): Standing[] =>
    limit === null || source === null || state === "ok"
      ? []
      : [{ account, plan, meter, unit, period, used, reserved, limit, percent, state, source, hardStop: true, resetsAt }],
  );
  const unitOf = (name: string): string => usage.meters.find((m) => m.meter === name)?.unit ?? "";
  const soft = usage.usageCaps
    .filter((cap) => !cap.hardStop && cap.state !== "ok")
    .map(({ meter, period, used, reserved, capValue, percent, state, resetsAt }): Standing => {
      return {
        account,
        plan,
        meter,
        unit: unitOf(meter),
        period,
        used,
        reserved,
        limit: capValue,
        percent,
        state,
        source: "cap",
        hardStop: false,
        resetsAt,
      };
    });
  return [...limits, ...soft];
}
