import { parseInstant } from "../../kernel/window.ts";
import { rotationSchema } from "../../notifications/webhook.ts";
import type { State } from "../../state/state.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { toAlarm, toDeletedAlarm, toRotatedNamespace } from "./state-answers.ts";
import * as schemas from "./state-schemas.ts";

const tags = ["state"];
const NAMESPACE = "/v1/services/:service/state/namespaces/:namespace";
const ALARM = `${NAMESPACE}/objects/:object/alarm`;

/** The one alarm of an object. It may be set before its service has a worker: its delivery waits for one. */
export function alarmRoutes(app: App, { state }: { state: State }): void {
  app.route({
    method: "GET",
    url: ALARM,
    ...allow("admin", "data_plane", "account", "read_only"),
    schema: { tags, summary: "An object's alarm", params: schemas.objectParams, response: { 200: schemas.alarmAnswer } },
    handler: async (request) => toAlarm(await state.getAlarm({ account: accountOf(request), ...request.params })),
  });

  app.route({
    method: "PUT",
    url: ALARM,
    ...allow("admin", "data_plane", "account"),
    schema: {
      tags,
      summary: "Set an object's alarm, in place of the one it had",
      description:
        "When it is due, the service's worker gets `POST {workerUrl}/.weir/state/{namespace}/{object}/alarm` with `{account, service, namespace, object, alarmId, scheduledAt, scheduledAtUnixMs, retryCount, isRetry}`. The call is signed with the namespace's secret by the Standard Webhooks specification: `webhook-id` (the `alarmId`, the same in every attempt), `webhook-timestamp` (this attempt's, seconds) and `webhook-signature`, so any of its libraries verifies it. 2xx is success; after anything else, or 15 minutes, it is called again after 2, 4, 8, 16, 32 and 64 s, then cleared.",
      params: schemas.objectParams,
      body: schemas.alarmBody,
      response: { 200: schemas.alarmAnswer },
    },
    handler: async (request) => {
      const { delaySeconds, scheduledAt, scheduledAtUnixMs } = request.body;
      const at = scheduledAt === undefined ? scheduledAtUnixMs : parseInstant(scheduledAt);
      const time = typeof at === "number" ? { scheduledAt: at } : { delaySeconds: delaySeconds ?? 0 };
      return toAlarm(await state.setAlarm({ account: accountOf(request), ...request.params }, time));
    },
  });

  app.route({
    method: "DELETE",
    url: ALARM,
    ...allow("admin", "data_plane", "account"),
    schema: { tags, summary: "Delete an object's alarm", params: schemas.objectParams, response: { 200: schemas.alarmDeletedAnswer } },
    handler: async (request) => toDeletedAlarm(await state.deleteAlarm({ account: accountOf(request), ...request.params })),
  });
  secretRoute(app, state);
}

function secretRoute(app: App, state: State): void {
  app.route({
    method: "POST",
    url: `${NAMESPACE}/rotate`,
    ...allow("admin", "data_plane", "account"),
    schema: {
      tags,
      summary: "Give a namespace a new secret; it is shown once",
      description:
        "For `previousSecretSeconds` (default 86400, at most a week) alarms are signed with both, so that the worker misses none. It is not metered.",
      params: schemas.namespaceParams,
      body: rotationSchema.nullish(),
      response: { 200: schemas.namespaceRotatedAnswer },
    },
    handler: async (request) => {
      const { previousSecretSeconds } = rotationSchema.parse(request.body ?? {});
      return toRotatedNamespace(await state.rotateSecret({ account: accountOf(request), ...request.params }, previousSecretSeconds));
    },
  });
}
