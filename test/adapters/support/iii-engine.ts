import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

/** A stand-in for iii's engine, by its SDK's public types: workers, invocations, `state::*`, a middleware. Not iii's code, and not all of it. */
export interface IiiEngine {
  url: string;
  /** Calls of workers that did not register it go through this function. */
  middleware: string | null;
  /** What is stored, by scope and key. */
  stored: Map<string, Map<string, unknown>>;
  stop(): Promise<void>;
}

interface Message {
  type: string;
  id?: string;
  invocation_id?: string;
  function_id?: string;
  data?: Record<string, unknown>;
  metadata?: unknown;
  action?: unknown;
  result?: unknown;
  error?: unknown;
}

interface Op {
  type: string;
  path?: string;
  value?: unknown;
  by?: number;
}

export async function startIiiEngine(): Promise<IiiEngine> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise<void>((resolve) => server.once("listening", resolve));
  const functions = new Map<string, WebSocket>();
  const waiting = new Map<string, { to: WebSocket; id: string }>();
  const stored: IiiEngine["stored"] = new Map();
  let invocations = 0;
  const engine: IiiEngine = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    middleware: null,
    stored,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of server.clients) socket.terminate();
        server.close(() => resolve());
      }),
  };
  const invoke = (from: WebSocket, { invocation_id: id, function_id = "", data = {}, metadata, action }: Message): void => {
    const answer = (part: object): void =>
      void (id && from.send(JSON.stringify({ type: "invocationresult", invocation_id: id, function_id, ...part })));
    const guard = engine.middleware === null ? undefined : functions.get(engine.middleware);
    if (guard && guard !== from)
      return forward(guard, from, id, engine.middleware, { function_id, payload: data, action, context: {} }, metadata);
    const worker = functions.get(function_id);
    if (worker) return forward(worker, from, id, function_id, data, metadata);
    if (!function_id.startsWith("state::")) return answer({ result: null });
    answer({ result: operate(stored, function_id, data) });
  };
  const forward = (
    to: WebSocket,
    from: WebSocket,
    id: string | undefined,
    function_id: string | null,
    data: object,
    metadata: unknown,
  ): void => {
    const invocation_id = `i${++invocations}`;
    if (id) waiting.set(invocation_id, { to: from, id });
    to.send(JSON.stringify({ type: "invokefunction", invocation_id, function_id, data, ...(metadata === undefined ? {} : { metadata }) }));
  };
  server.on("connection", (socket) => {
    socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString()) as Message;
      if (message.type === "registerfunction" && message.id) functions.set(message.id, socket);
      if (message.type === "invokefunction") invoke(socket, message);
      const asked = message.type === "invocationresult" ? waiting.get(message.invocation_id ?? "") : undefined;
      if (asked) asked.to.send(JSON.stringify({ ...message, invocation_id: asked.id }));
    });
  });
  return engine;
}

function operate(stored: IiiEngine["stored"], id: string, data: Record<string, unknown>): unknown {
  const { scope, key, value, ops } = data as { scope: string; key: string; value: unknown; ops: Op[] };
  const values = stored.get(scope) ?? new Map<string, unknown>();
  const before = values.get(key) ?? null;
  switch (id) {
    case "state::get":
      return before;
    case "state::set":
      stored.set(scope, values.set(key, value));
      return { old_value: before, new_value: value };
    case "state::update": {
      const after = ops.reduce(applied, before);
      stored.set(scope, values.set(key, after));
      return { old_value: before, new_value: after };
    }
    case "state::delete":
      values.delete(key);
      return before;
    case "state::list":
      return [...values.values()];
    default:
      return { groups: [...stored.keys()].toSorted() };
  }
}

function applied(state: unknown, { type, path = "", value, by = 0 }: Op): unknown {
  const whole = { ...(state as Record<string, unknown> | null) };
  const at = path === "" ? state : whole[path];
  const { [path]: _, ...rest } = whole;
  if (type === "remove") return rest;
  const number = Number(at ?? 0);
  const list = Array.isArray(at) ? (at as unknown[]) : [];
  const results: Record<string, unknown> = {
    set: value,
    increment: number + by,
    decrement: number - by,
    append: [...list, value],
    merge: { ...(at as object | null), ...(value as object | undefined) },
  };
  return path === "" ? results[type] : { ...whole, [path]: results[type] };
}
