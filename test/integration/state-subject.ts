import { expect } from "vitest";
import type { Subject } from "../conformance/run.ts";
import type { Outcome, Step } from "../conformance/vectors.ts";
import type { Answer, TestApp } from "../support/app.ts";

const NAMESPACES = "/v1/services/service_1/state/namespaces";
const ROOM = `${NAMESPACES}/Room/objects`;
const OBJECT = `${ROOM}/room-1`;

/** A fresh object of a fresh account in the reference data plane, over HTTP. */
export async function stateSubject(t: TestApp): Promise<Subject> {
  const account = await t.newAccount("free");
  const send = (method: "GET" | "PUT" | "POST" | "DELETE", url: string, body?: unknown): Promise<Answer> =>
    t.send(method, url, body === undefined ? { account } : { account, body });
  expect((await send("POST", NAMESPACES, { name: "Room" })).status).toBe(201);

  const perform = async (step: Step): Promise<Outcome> => {
    switch (step.do) {
      case "put":
        return outcomeOf(await send("PUT", `${OBJECT}/values/${step.key}`, { value: step.value }));
      case "get":
        return outcomeOf(await send("GET", `${OBJECT}/values/${step.key}`));
      case "delete":
        return outcomeOf(await send("DELETE", `${OBJECT}/values/${step.key}`));
      case "keys":
        return outcomeOf(await send("GET", `${OBJECT}/keys`));
      case "objects":
        return outcomeOf(await send("GET", ROOM));
      default:
        throw new Error(`The data plane has no ${step.do}`);
    }
  };

  return {
    perform,
    counted: async () => {
      const { body } = await send("GET", "/v1/usage");
      return (body as { usage: { meters: { day: Record<string, number> } } }).usage.meters.day;
    },
    cap: async (meter, capValue) => {
      expect((await send("PUT", `/v1/usage/caps/${meter}`, { period: "day", capValue })).status).toBe(200);
    },
    holds: async (key) => {
      // Whatever a vector has capped must not hide what is stored.
      for (const meter of ["state_requests", "state_sqlite_rows_read"]) await send("DELETE", `/v1/usage/caps/${meter}/day`);
      const { status, body } = await send("GET", `${OBJECT}/values/${key}`);
      return status === 200 ? String(body["valueText"]) : null;
    },
  };
}

function outcomeOf({ status, body }: Answer): Outcome {
  if (status === 429) return "denied";
  if (status === 404 || body["deleted"] === false) return "missing";
  expect(status).toBe(200);
  return "ok";
}
