import { expect } from "vitest";
import type { Subject } from "../../conformance/run.ts";
import type { Outcome, Step } from "../../conformance/vectors.ts";
import { clientOf } from "./rivet-rooms.ts";
import type { Weir } from "./weir.ts";

/** An id that no alarm has. */
const NO_ALARM = "00000000-0000-0000-0000-000000000000";
/** More than any vector counts. */
const MESSAGE_MAX = 50_000;
const PLENTY = 1_000_000;

/** A fresh actor of a fresh account: `perOperation` counts its operations as the State API does, `room` its calls. */
export async function rivetSubject(weir: Weir, client: ReturnType<typeof clientOf>, kind: "perOperation" | "room"): Promise<Subject> {
  const account = await weir.newAccount("free");
  const room = client[kind].getOrCreate([account, "lobby"]);
  let alarm = NO_ALARM;
  let socket: WebSocket | null = null;
  if (kind === "room") await room.nothing();

  /** Done, or refused by a limit: anything else is a fault. */
  const outcomeOf = async (work: Promise<unknown>): Promise<[Outcome, unknown]> => {
    try {
      return ["ok", await work];
    } catch (error) {
      expect(error).toMatchObject({ group: "user", code: "limit_exceeded" });
      return ["denied", null];
    }
  };
  const perform = async (step: Step): Promise<Outcome> => {
    switch (step.do) {
      case "put":
        // A message may have 64 KiB: what is larger is made where it is stored.
        return (
          await outcomeOf(step.value.length > MESSAGE_MAX ? room.kvFill(step.key, step.value.length) : room.kvPut(step.key, step.value))
        )[0];
      case "get": {
        const [outcome, value] = await outcomeOf(room.kvSize(step.key));
        return outcome === "ok" && value === null ? "missing" : outcome;
      }
      case "delete": {
        const from = (await weir.used(account))["rows_written"] ?? 0;
        const [outcome] = await outcomeOf(room.kvDelete(step.key));
        // Rivet does not tell whether there was anything; what was counted does.
        return outcome === "ok" && (await weir.used(account))["rows_written"] === from ? "missing" : outcome;
      }
      case "clear":
        return (await outcomeOf(room.kvClear()))[0];
      case "keys":
        return (await outcomeOf(room.kvList()))[0];
      case "sql":
        return (await outcomeOf(room.sql(step.statement)))[0];
      case "alarm-set": {
        const [outcome, id] = await outcomeOf(room.plan(step.delaySeconds * 1_000));
        if (outcome === "ok") alarm = String(id);
        return outcome;
      }
      case "alarm-get":
        return foundOr(await outcomeOf(room.find(alarm)));
      case "alarm-delete":
        return foundOr(await outcomeOf(room.cancel(alarm)));
      case "socket-open":
        return opened((socket = await room.webSocket("/")));
      case "messages":
        for (let i = 0; i < step.count; i++) if (socket === null || !(await say(socket))) return "denied";
        return "ok";
      default:
        throw new Error(`Rivet has no ${step.do}`);
    }
  };
  return {
    perform,
    counted: async () => {
      // Messages are counted beside what they say.
      for (let last = "", now = ""; ; last = now) {
        const { day } = (await weir.engine.usage(account)).usage.meters;
        now = JSON.stringify(day);
        if (now === last || kind === "perOperation") return day;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    cap: (meter, value) => weir.cap(account, meter, "day", value),
    holds: async (key) => {
      for (const meter of ["state_requests", "state_sqlite_rows_read"]) await weir.cap(account, meter, "day", PLENTY);
      return (await room.kvGet(key)) ?? null;
    },
    close: () => {
      socket?.close();
      return Promise.resolve();
    },
  };
}

/** Long enough for a refused socket to be closed. */
const REFUSAL_MS = 300;

const foundOr = ([outcome, found]: [Outcome, unknown]): Outcome => (outcome === "ok" && found === false ? "missing" : outcome);

/** A socket that is refused is opened, and closed at once. */
function opened(socket: WebSocket): Promise<Outcome> {
  return new Promise((resolve) => {
    socket.addEventListener("close", () => resolve("denied"), { once: true });
    const wait = (): unknown => setTimeout(() => resolve("ok"), REFUSAL_MS);
    if (socket.readyState === WebSocket.OPEN) wait();
    else socket.addEventListener("open", wait, { once: true });
  });
}

/** Says something, and answers whether it was heard. */
function say(socket: WebSocket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.addEventListener("message", () => resolve(true), { once: true });
    socket.addEventListener("close", () => resolve(false), { once: true });
    socket.send("hello");
  });
}
