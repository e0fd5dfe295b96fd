import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { usageEventSchema } from "../../gate/event-envelope.ts";
import { EVENTS_MAX } from "../../gate/event.ts";
import { validationFailed } from "../../kernel/errors.ts";
import type { App } from "../app.ts";
import { allow, principalOf } from "../auth.ts";
import { readAsJson } from "../body.ts";

const CLOUD_EVENTS = ["application/cloudevents+json", "application/cloudevents-batch+json"];

/** 1,000 events of 4 kB: ids and names at their longest and a dozen meters. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

const recordedSchema = z.object({
  accepted: z.int(),
  duplicates: z.int(),
  rejected: z.array(z.object({ index: z.int(), code: z.enum(["validation_failed", "not_found"]), detail: z.string() })),
});

/** Usage after the fact. To be registered as a plugin: no other route takes its content types. */
export async function eventRoutes(app: App, { engine }: { engine: Engine }): Promise<void> {
  readAsJson(app, CLOUD_EVENTS);
  app.route({
    method: "POST",
    url: "/v1/events",
    ...allow("data_plane", "account", "admin"),
    bodyLimit: BODY_BYTES_MAX,
    schema: {
      tags: ["events"],
      summary:
        "Count usage after the fact: one CloudEvents 1.0 event, or up to 1,000; each (source, id) counts once, and a bad one does not stop the others",
      consumes: ["application/json", ...CLOUD_EVENTS],
      body: z.union([usageEventSchema, z.array(usageEventSchema).max(EVENTS_MAX)]),
      response: { 202: recordedSchema },
    },
    // The schema above is for readers: a bad event is reported in the answer, not as the request's failure.
    validatorCompiler: () => (body: unknown) => ({ value: body }),
    handler: async (request, reply) => {
      const body: unknown = request.body;
      const events: readonly unknown[] = Array.isArray(body) ? body : [body];
      if (events.length > EVENTS_MAX) throw validationFailed([{ path: "", message: `may hold at most ${EVENTS_MAX} events` }]);
      const recorded = await engine.recordEvents(events, { account: principalOf(request).account });
      return reply.code(202).send(recorded);
    },
  });
}
