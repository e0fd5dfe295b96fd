import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

/** A stand-in for iii's engine, by its SDK's public types: workers, invocations, `state::*`, a middleware. Not iii's code, and not all of it. */
export interface IiiEngine {
  url: string;
  /** Calls of workers that did not register it go through this function. */
  middleware: string | null;
  /** What is stored, by scope and key. */
  stored: Map<string, Map<string, unknown>>;
  /** A delete answers an object that holds the old value, as it is typed, and not the value itself, as it is documented. */
  wrapsDeleted: boolean;
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
  trigger_type?: string;
  config?: { scope?: string; key?: string };
}

/** A function that is told of changes of state. */
interface Told {
  socket: WebSocket;
  functionId: string;
  scope: string | undefined;
  key: string | undefined;
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
  const told = new Map<string, Told>();
  let invocations = 0;
  const engine: IiiEngine = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    middleware: null,
    stored,
    wrapsDeleted: false,
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
    const { result, event } = operate(engine, function_id, data);
    answer({ result });
    if (event) tell(event);
  };
  const tell = (event: StateEvent): void => {
    for (const { socket, functionId, scope, key } of told.values()) {
      if ((scope ?? event.scope) !== event.scope || (key ?? event.key) !== event.key) continue;
      socket.send(JSON.stringify({ type: "invokefunction", function_id: functionId, data: event }));
    }
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
      const { id = "", function_id: functionId = "", config = {} } = message;
      if (message.type === "registerfunction") functions.set(id, socket);
      if (message.type === "registertrigger" && message.trigger_type === "state")
        told.set(id, { socket, functionId, scope: config.scope, key: config.key });
      if (message.type === "unregistertrigger") told.delete(id);
      if (message.type === "invokefunction") invoke(socket, message);
      const asked = message.type === "invocationresult" ? waiting.get(message.invocation_id ?? "") : undefined;
      if (asked) asked.to.send(JSON.stringify({ ...message, invocation_id: asked.id }));
    });
  });
  return engine;
}

/** What a state trigger's function is told. */
interface StateEvent {
  type: "state";
  event_type: "state:created" | "state:updated" | "state:deleted";
  scope: string;
  key: string;
  old_value: unknown;
  new_value: unknown;
}

function operate(
  { stored, wrapsDeleted }: IiiEngine,
  id: string,
  payload: Record<string, unknown>,
): { result: unknown; event?: StateEvent } {
  const {
    scope,
    key,
    value,
    data,
    expected,
    ops = [],
  } = payload as {
    scope: string;
    key: string;
    value: unknown;
    data: unknown;
    expected: unknown;
    ops?: Op[];
  };
  const values = stored.get(scope) ?? new Map<string, unknown>();
  const before = values.get(key) ?? null;
  const changed = (kind: "updated" | "deleted", after: unknown): StateEvent => ({
    type: "state",
    event_type: `state:${kind === "updated" && before === null ? "created" : kind}`,
    scope,
    key,
    old_value: before,
    new_value: after,
  });
  switch (id) {
    case "state::get":
      return { result: before };
    case "state::set": {
      const after = value ?? data;
      stored.set(scope, values.set(key, after));
      return { result: { old_value: before, new_value: after }, event: changed("updated", after) };
    }
    case "state::update": {
      // One that cannot be applied is named, and the others are applied.
      const errors = ops.flatMap((op, index) => (isApplicable(op) ? [] : [{ index, code: "merge.value.not_an_object" }]));
      const after = ops.filter(isApplicable).reduce(applied, before);
      stored.set(scope, values.set(key, after));
      const result = { old_value: before, new_value: after, ...(errors.length > 0 ? { errors } : {}) };
      return { result, event: changed("updated", after) };
    }
    case "state::delete": {
      values.delete(key);
      const wrapped = before === null ? {} : { old_value: before };
      return { result: wrapsDeleted ? wrapped : before, event: changed("deleted", null) };
    }
    case "state::compare-and-set": {
      if (JSON.stringify(before) !== JSON.stringify(expected ?? null)) return { result: { matched: false } };
      stored.set(scope, values.set(key, value));
      return { result: { matched: true }, event: changed("updated", value) };
    }
    case "state::list_keys":
      return { result: { keys: [...values.keys()] } };
    case "state::list_entries": {
      const entries = [...values].map(([name, one]) => ({ key: name, value: one }));
      return { result: { entries, next_cursor: null, done: true, offset: 0, total: entries.length } };
    }
    case "state::list":
      return { result: [...values.values()] };
    default:
      return { result: { groups: [...stored.keys()].toSorted() } };
  }
}

const isApplicable = ({ type, value }: Op): boolean => type !== "merge" || (typeof value === "object" && value !== null);

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
