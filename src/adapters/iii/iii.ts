import { WeirError } from "../../kernel/errors.ts";
import { randomBase62 } from "../../kernel/ids.ts";
import { settlePending } from "../hold.ts";
import { isRecord } from "../json.ts";
import { objectName } from "../names.ts";
import { overlay } from "../overlay.ts";
import { METER, type Answer, type MeterPort, type Place, type Usage } from "../port.ts";
import { explain, undecided } from "../tally.ts";

export { httpPort } from "../http-port.ts";

/** The source of this adapter's events. */
export const EVENT_SOURCE = "weir/iii";
const TTL_SECONDS = 60;
/** The object of operations that name no scope. */
const ALL_SCOPES = "*";

/** What is used of a call of `iii.trigger`. */
export interface TriggerRequest {
  function_id: string;
  payload: unknown;
  action?: unknown;
  timeoutMs?: number;
  metadata?: unknown;
}

/** What is used of the SDK's client. */
interface Client {
  trigger(request: TriggerRequest): Promise<unknown>;
}

/** What the engine hands to a `middleware_function_id`. */
export interface MiddlewareInput {
  function_id: string;
  payload: Record<string, unknown>;
  action?: unknown;
  context: Record<string, unknown>;
}

/** What an operation is known by; `context` is the session's, in a middleware. */
export interface Call {
  scope: string;
  payload: Record<string, unknown>;
  context: Record<string, unknown>;
}

export interface IiiMeterOptions {
  meter: MeterPort;
  /** The SDK's class. */
  InvocationError: new (init: { code: string; message: string; function_id?: string }) => Error;
  /** Who pays. */
  account: string | ((call: Call) => string);
  service: string;
  /** The namespace of all scopes; `State` unless told. */
  namespace?: string;
}

export interface IiiMeter {
  /** `iii` with the state operations that are triggered through it counted. */
  client<C extends Client>(iii: C): C;
  /** The function of a listener's `middleware_function_id`: counts state operations and forwards every call by `iii`. */
  middleware(iii: Client): (input: MiddlewareInput, metadata?: unknown) => Promise<unknown>;
  /** A state trigger's handler, each delivery a request. */
  delivery<E extends { scope: string }, R>(
    handler: (event: E, metadata?: unknown) => Promise<R>,
  ): (event: E, metadata?: unknown) => Promise<R>;
}

/** Meters `state::*`: Weir decides and counts. README.md has the table. */
export function iiiMeter(options: IiiMeterOptions): IiiMeter {
  const metered = (request: TriggerRequest, context: Record<string, unknown>, next: Client): Promise<unknown> => {
    const kind = KINDS[request.function_id];
    if (!kind) return next.trigger(request);
    const payload = isRecord(request.payload) ? request.payload : {};
    const place = placeOf(options, { scope: scopeOf(payload), payload, context });
    const key = keyOf(request.metadata);
    return kind === "read" ? read(options, request, place, key, next) : write(options, request, place, key, next);
  };

  return {
    client: (iii) => overlay(iii, { trigger: (request: TriggerRequest) => metered(request, {}, iii) }),
    middleware:
      (iii) =>
      ({ function_id, payload, action, context }, metadata) => {
        const optional = {
          ...(action === undefined || action === null ? {} : { action }),
          ...(metadata === undefined ? {} : { metadata }),
        };
        return metered({ function_id, payload, ...optional }, context, iii);
      },
    delivery: (handler) => async (event, metadata) => {
      const place = placeOf(options, { scope: event.scope, payload: { ...event }, context: {} });
      await ask(options, "state", options.meter.check({ ...place, usage: { [METER.requests]: 1 }, idempotencyKey: keyOf(metadata) }));
      return handler(event, metadata);
    },
  };
}

const deny = ({ InvocationError }: IiiMeterOptions, functionId: string, { message, metadata }: ReturnType<typeof undecided>): Error =>
  new InvocationError({ code: metadata["code"] ?? "limit_exceeded", message, function_id: functionId });
/** Asks, and throws what refuses. */
const ask = async <A extends Answer>(options: IiiMeterOptions, functionId: string, asking: Promise<A>): Promise<A> => {
  const answer = await asking.catch((error: unknown) => {
    throw deny(options, functionId, undecided(error));
  });
  const [denial] = answer.denials;
  if (!answer.allowed) throw deny(options, functionId, denial ? explain({ meter: denial.meter, denial }) : undecided(null));
  return answer;
};

/** Counts a read once its rows are known, and hands nothing out that there is no budget for. */
const read = async (options: IiiMeterOptions, request: TriggerRequest, place: Place, key: string, next: Client): Promise<unknown> => {
  const result = await next.trigger(request);
  const usage = { [METER.requests]: 1, [METER.rowsRead]: rowsOf(request.function_id, result) };
  const asking = options.meter.check({ ...place, usage, idempotencyKey: key }).catch((error: unknown): Answer => {
    // Repeated, it read something else; it is the same read all the same.
    if (error instanceof WeirError && error.code === "idempotency_mismatch") return { allowed: true, denials: [], meters: {} };
    throw error;
  });
  await ask(options, request.function_id, asking);
  return result;
};

/** Holds a write before it is done, and settles what it did by what it answers. */
const write = async (options: IiiMeterOptions, request: TriggerRequest, place: Place, key: string, next: Client): Promise<unknown> => {
  const { function_id: id, payload } = request;
  const { usage, growthBytes, payloadBytes } = await wantOf(request, next);
  const asked = { ...place, usage, storageBytes: { delta: growthBytes }, payloadBytes, idempotencyKey: key };
  const { reservation } = await ask(options, id, options.meter.reserve(asked, TTL_SECONDS));
  let result: unknown;
  try {
    result = await next.trigger(request);
  } catch (error) {
    if (reservation) await options.meter.release(reservation.id).catch(() => undefined);
    throw error;
  }
  const delta = request.action === undefined ? growthOf(id, payload, result, growthBytes) : growthBytes;
  const pending = {
    place,
    reservation: reservation?.id ?? null,
    actual: { usage, storageBytes: { delta } },
    event: { source: EVENT_SOURCE, id: key },
  };
  await settlePending(options.meter, pending).catch((error: unknown) => {
    throw deny(options, id, undecided(error));
  });
  return result;
};

const KINDS: Readonly<Record<string, "read" | "write">> = {
  "state::get": "read",
  "state::list": "read",
  "state::list_groups": "read",
  "state::set": "write",
  "state::update": "write",
  "state::delete": "write",
};

const scopeOf = (payload: Record<string, unknown>): string => (typeof payload["scope"] === "string" ? payload["scope"] : ALL_SCOPES);

/** A caller's own key makes a repeated call the same one. */
function keyOf(metadata: unknown): string {
  const own = isRecord(metadata) ? metadata["idempotency_key"] : undefined;
  return typeof own === "string" ? `iii:key:${own}` : `iii:${randomBase62(20)}`;
}

function placeOf({ account, service, namespace = "State" }: IiiMeterOptions, call: Call): Place {
  return { account: typeof account === "string" ? account : account(call), service, namespace, object: objectName(call.scope) };
}

/** What a write may count; a removal looks first, for what is not there is no row. */
async function wantOf(
  { function_id: id, payload }: TriggerRequest,
  next: Client,
): Promise<{ usage: Usage; growthBytes: number; payloadBytes: number }> {
  const { scope, key, value, data, ops } = (isRecord(payload) ? payload : {}) as Record<string, unknown>;
  if (id === "state::delete") {
    const there = await next.trigger({ function_id: "state::get", payload: { scope, key } });
    const usage = { [METER.requests]: 1, [METER.rowsWritten]: isNothing(there) ? 0 : 1 };
    return { usage, growthBytes: -bytesOf(there), payloadBytes: 0 };
  }
  const bytes = bytesOf(id === "state::update" ? ops : (value ?? data));
  const rowsRead = id === "state::update" ? { [METER.rowsRead]: 1 } : {};
  const usage = { [METER.requests]: 1, ...rowsRead, [METER.rowsWritten]: 1 };
  return { usage, growthBytes: bytes, payloadBytes: bytes + Buffer.byteLength(String(key)) };
}

/** By how many bytes the stored value grew: values as JSON, as the engine stores them. `expected` is what was thought before. */
function growthOf(id: string, payload: unknown, result: unknown, expected: number): number {
  const { old_value: before, new_value: after } = isRecord(result) ? result : {};
  if (id !== "state::delete") return bytesOf(after ?? (isRecord(payload) ? payload["value"] : undefined)) - bytesOf(before);
  // Typed as an object that holds the old value, documented as the old value itself: where it may be either, it is what was there before.
  const mayHold = isRecord(result) && ["", "old_value"].includes(Object.keys(result).join());
  const sizes = (mayHold ? [before, result] : [result]).map((value) => -bytesOf(value));
  return sizes.includes(expected) ? expected : (sizes[0] ?? 0);
}

function rowsOf(id: string, result: unknown): number {
  if (id === "state::get") return isNothing(result) ? 0 : 1;
  const listed = isRecord(result) ? result["groups"] : result;
  return Math.max(1, Array.isArray(listed) ? listed.length : 1);
}

const isNothing = (value: unknown): boolean => value === null || value === undefined;
const bytesOf = (value: unknown): number => (isNothing(value) ? 0 : Buffer.byteLength(JSON.stringify(value)));
