import { expect } from "vitest";
import type { Subject } from "../../conformance/run.ts";
import type { Outcome, Step } from "../../conformance/vectors.ts";
import type { Answer, TestApp } from "../../support/app.ts";
import { startReceiver, type Receiver } from "../../support/receiver.ts";
import { openSocket, type TestSocket } from "./sockets.ts";

const SERVICE = "/v1/services/service_1";
const NAMESPACES = `${SERVICE}/state/namespaces`;
const ROOM = `${NAMESPACES}/Room/objects`;
const OBJECT = `${ROOM}/room-1`;

type Send = (method: "GET" | "PUT" | "POST" | "DELETE", url: string, body?: unknown) => Promise<Answer>;

/** A fresh object of a fresh account in the reference data plane, over HTTP. Its app listens where sockets are opened. */
export async function stateSubject(t: TestApp): Promise<Subject> {
  const account = await t.newAccount("free");
  const send: Send = (method, url, body) => t.send(method, url, body === undefined ? { account } : { account, body });
  expect((await send("POST", NAMESPACES, { name: "Room" })).status).toBe(201);
  const worker = await startWorker(t, send);
  let socket: TestSocket | null = null;

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
      case "alarm-set":
        return outcomeOf(await send("PUT", `${OBJECT}/alarm`, { delaySeconds: step.delaySeconds }));
      case "alarm-get":
        return outcomeOf(await send("GET", `${OBJECT}/alarm`));
      case "alarm-delete":
        return outcomeOf(await send("DELETE", `${OBJECT}/alarm`));
      case "alarm-due":
        return worker.ring(account, step);
      case "socket-open":
        socket = await openSocket(t, account, `${OBJECT}/socket`);
        return socket.closed === null ? "ok" : closedAs(socket.closed.code);
      case "messages":
        return (await socket?.exchange(step.count)) === step.count ? "ok" : closedAs(socket?.closed?.code ?? 0);
      case "socket-close":
        t.clock.advance(step.afterMs);
        await socket?.close();
        await t.state.settleTime();
        return "ok";
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
    close: async () => {
      await socket?.close();
      await worker.receiver?.stop();
    },
  };
}

function outcomeOf({ status, body }: Answer): Outcome {
  if (status === 429) return "denied";
  if (status === 404 || body["deleted"] === false || body["scheduledAt"] === null) return "missing";
  expect(status).toBe(200);
  return "ok";
}

function closedAs(code: number): Outcome {
  expect(code).toBe(1008);
  return "denied";
}

interface TestWorker {
  receiver: Receiver | null;
  ring(account: string, step: Step & { do: "alarm-due" }): Promise<Outcome>;
}

/** A worker that is started when the first alarm is due, and takes by the clock what its step says. */
async function startWorker(t: TestApp, send: Send): Promise<TestWorker> {
  let now: Step & { do: "alarm-due" } = { do: "alarm-due", handler: "ok", wallMs: 0 };
  const worker: TestWorker = {
    receiver: null,
    ring: async (account, step) => {
      now = step;
      if (!worker.receiver) {
        worker.receiver = await startReceiver((response) => {
          t.clock.advance(now.wallMs);
          response.writeHead(now.handler === "ok" ? 204 : 500).end();
        });
        expect((await send("PUT", SERVICE, { workerUrl: worker.receiver.url })).status).toBe(200);
      }
      const { due_at: due } = await t.engine.db
        .selectFrom("state_alarms")
        .select("due_at")
        .where("account", "=", account)
        .executeTakeFirstOrThrow();
      t.clock.set(Math.max(t.clock.now(), due?.getTime() ?? 0));
      const before = worker.receiver.received.length;
      await t.state.alarms.deliverDue();
      return worker.receiver.received.length > before ? "ok" : "denied";
    },
  };
  return worker;
}
