import { z } from "zod";
import { STORAGE_METER, type Engine } from "../../engine.ts";
import { measuredObjectSchema, RECOUNT_OBJECTS_MAX, type Difference } from "../../gate/recount.ts";
import { ACCOUNT_PATTERN, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../../kernel/ids.ts";
import { validationFailed } from "../../kernel/errors.ts";
import type { State } from "../../state/state.ts";
import type { App } from "../app.ts";
import { allow, ownAccount } from "../auth.ts";
import { decodeCursor, encodeCursor } from "../page.ts";

const tags = ["check"];
const account = z.string().regex(ACCOUNT_PATTERN);
const service = z.string().regex(SERVICE_PATTERN);
/** 1,000 objects with names of 512 characters, each of four bytes and escaped. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

const recountBody = z.strictObject({
  account,
  service: service.optional(),
  namespace: z.string().regex(NAMESPACE_PATTERN).optional(),
  objects: z.array(measuredObjectSchema.partial({ service: true, namespace: true })).max(RECOUNT_OBJECTS_MAX),
});

const differenceSchema = z.object({ service: z.string(), namespace: z.string(), object: z.string(), before: z.int(), after: z.int() });

/** `changed` objects were not of the size Weir had; `differenceBytes` is by how much the account's stored bytes moved. */
const recounted = z.object({ changed: z.int(), differenceBytes: z.int(), differences: z.array(differenceSchema) });

function answerOf(differences: Difference[]): z.infer<typeof recounted> {
  return { changed: differences.length, differenceBytes: differences.reduce((sum, d) => sum + d.after - d.before, 0), differences };
}

/** Reconciling stored bytes with what a data plane measures. */
export function recountRoutes(app: App, { engine, state }: { engine: Engine; state: State }): void {
  app.route({
    method: "POST",
    url: "/v1/recount",
    ...allow("data_plane", "admin", "account"),
    bodyLimit: BODY_BYTES_MAX,
    schema: {
      tags,
      summary: "Tell the measured sizes of up to 1,000 objects: they are the truth, whatever the limits say",
      description: "`service` and `namespace` stand for objects that do not name their own. Objects that are not named keep their size.",
      body: recountBody,
      response: { 200: recounted },
    },
    handler: async (request) => {
      const { body } = request;
      ownAccount(request, body.account);
      const errors = body.objects.flatMap((o, i) => [
        ...((o.service ?? body.service) === undefined ? [{ path: `objects.${i}.service`, message: "is missing" }] : []),
        ...((o.namespace ?? body.namespace) === undefined ? [{ path: `objects.${i}.namespace`, message: "is missing" }] : []),
      ]);
      if (errors.length > 0) throw validationFailed(errors.slice(0, 20));
      const objects = body.objects.map((o) => ({
        ...o,
        service: o.service ?? body.service ?? "",
        namespace: o.namespace ?? body.namespace ?? "",
      }));
      return answerOf(await engine.recount(body.account, objects));
    },
  });

  app.route({
    method: "POST",
    url: "/v1/recount/state",
    ...allow("data_plane", "admin", "account"),
    schema: {
      tags,
      summary: "Measure the objects of Weir's own data plane and reconcile them, a page a call; repeat with nextCursor until it is null",
      body: z.strictObject({ account, service: service.optional(), cursor: z.string().min(1).max(8_192).optional() }),
      response: { 200: recounted.extend({ objects: z.int(), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const { body } = request;
      ownAccount(request, body.account);
      const after = decodeCursor(body.cursor, 2);
      await engine.bookAccount(body.account);
      const page = await state.recount(
        {
          account: body.account,
          service: body.service ?? null,
          meter: STORAGE_METER,
          after: after && { namespace: Number(after[0]), object: String(after[1]) },
        },
        (object) => engine.recount(body.account, [object]),
      );
      const nextCursor = page.last === null ? null : encodeCursor([page.last.namespace, page.last.object]);
      return { ...answerOf(page.differences), objects: page.objects, nextCursor };
    },
  });
}
