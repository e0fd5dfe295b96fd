import { z } from "zod";
import type { Clock } from "../../kernel/clock.ts";
import { WeirError } from "../../kernel/errors.ts";
import { iso, parseInstant } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";

const tags = ["test"];
const clockSchema = z.object({ now: z.iso.datetime() });
const instant = z
  .string()
  .max(40)
  .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z");

/** A clock that can be set: false, changing nothing, when the time lies in the past. */
export interface SetClock extends Clock {
  set(epochMs: number): boolean | Promise<boolean>;
}

/** Time for tests; served only with WEIR_TEST_CLOCK=1. Once set, the clock stands still until it is set again, forward only, also over restarts. */
export function testClockRoutes(app: App, { clock, runJobs }: { clock: SetClock; runJobs: () => Promise<void> }): void {
  const admin = allow("admin");
  app.route({
    method: "GET",
    url: "/v1/test/clock",
    ...admin,
    schema: { tags, summary: "The time Weir lives by", response: { 200: clockSchema } },
    handler: async () => ({ now: iso(clock.now()) }),
  });
  app.route({
    method: "PUT",
    url: "/v1/test/clock",
    ...admin,
    schema: { tags, summary: "Set the time, forward only", body: z.strictObject({ now: instant }), response: { 200: clockSchema } },
    handler: async (request) => {
      const at = parseInstant(request.body.now) ?? 0;
      if (!(await clock.set(at))) throw new WeirError("conflict", `The clock stands at ${iso(clock.now())}; it only moves forward.`);
      return { now: iso(clock.now()) };
    },
  });
  app.route({
    method: "POST",
    url: "/v1/test/run-jobs",
    ...admin,
    schema: {
      tags,
      summary: "Run everything that is due; answers when it is done",
      response: { 200: z.object({ done: z.literal(true) }) },
    },
    handler: async () => {
      await runJobs();
      return { done: true as const };
    },
  });
}
