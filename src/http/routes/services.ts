import { notFound } from "../../kernel/errors.ts";
import type { State } from "../../state/state.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { toService } from "./state-answers.ts";
import { serviceAnswer, serviceBody, serviceParams } from "./state-schemas.ts";

const tags = ["services"];

/** A service's settings. A service needs none to be used: only alarms ask where its worker is. */
export function serviceRoutes(app: App, { state }: { state: State }): void {
  app.route({
    method: "GET",
    url: "/v1/services/:service",
    ...allow("admin", "data_plane", "account", "read_only"),
    schema: { tags, summary: "A service's settings", params: serviceParams, response: { 200: serviceAnswer } },
    handler: async (request) => {
      const { service } = request.params;
      const found = await state.getService(accountOf(request), service);
      if (!found) throw notFound(`Service ${service}`);
      return toService(found);
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/services/:service",
    ...allow("admin", "data_plane", "account"),
    schema: {
      tags,
      summary: "Set a service up, or change it",
      params: serviceParams,
      body: serviceBody,
      response: { 200: serviceAnswer },
    },
    handler: async (request) => toService(await state.putService(accountOf(request), request.params.service, request.body)),
  });
}
