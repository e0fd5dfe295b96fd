import { parseInstant } from "../../kernel/window.ts";
import type { State } from "../../state/state.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { toAlarm, toDeletedAlarm } from "./state-answers.ts";
import * as schemas from "./state-schemas.ts";

const tags = ["state"];
const ALARM = "/v1/services/:service/state/namespaces/:namespace/objects/:object/alarm";

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
}
