import { expect, it } from "vitest";
import { REQUEST_EXAMPLES } from "../../../src/http/openapi-examples.ts";
import { openTestApp } from "../../support/app.ts";

type Method = "POST" | "PUT";

/** What the path parameters of the examples' routes stand for. */
const PATH: Readonly<Record<string, string>> = {
  account: "acct_1",
  meter: "state_requests",
  service: "service_1",
  namespace: "Room",
  object: "room-1",
  key: "counter",
};

it("every example of the OpenAPI document is taken as it stands", async () => {
  const t = await openTestApp();
  try {
    const routes = Object.entries(t.app.swagger().paths ?? {}).flatMap(([url, path]) =>
      Object.entries(path ?? {}).map(([method, operation]) => ({ url, method, id: (operation as { operationId?: string }).operationId })),
    );
    const answers: [string, number][] = [];
    for (const [id, body] of Object.entries(REQUEST_EXAMPLES)) {
      const route = routes.find((r) => r.id === id);
      if (!route) throw new Error(`There is no operation ${id}.`);
      const url = route.url.replaceAll(/\{(\w+)\}/g, (_, name: string) => PATH[name] ?? name);
      const { status } = await t.send(route.method.toUpperCase() as Method, url, { body, account: "acct_1" });
      answers.push([id, status]);
    }
    expect(answers.filter(([, status]) => status >= 300)).toEqual([]);
  } finally {
    await t.stop();
  }
});
