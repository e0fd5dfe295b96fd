import { WeirError } from "../../kernel/errors.ts";
import { randomBase62 } from "../../kernel/ids.ts";
import { settlePending } from "../hold.ts";
import { isRecord } from "../json.ts";
import { objectName } from "../names.ts";
import { overlay } from "../overlay.ts";
import { METER, type Answer, type MeterPort, type Place, type Reserved, type Usage } from "../port.ts";
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
    if (isRepeated(error)) return { allowed: true, denials: [], meters: {} };
    throw error;
  });
  await ask(options, request.function_id, asking);
  return result;
};

/** Holds a write before it is done, and settles what it did by what it answers. */
const write = async (options: IiiMeterOptions, request: TriggerRequest, place: Place, key: string, next: Client): Promise<unknown> => {
  const { function_id: id } = request;
  const want = await wantOf(request, next);
  const { growthBytes, payloadBytes } = want;
  const reserve = (): Promise<Reserved> => {
    const asked = { ...place, usage: want.usage, storageBytes: { delta: growthBytes }, payloadBytes, idempotencyKey: key };
    return options.meter.reserve(asked, TTL_SECONDS);
  };
  const asking = reserve().catch((error: unknown) => {
    if (id !== DELETE || !isRepeated(error)) throw error;
    // Repeated, it finds nothing where it found something before: its hold is the one of then.
    want.usage = removal(want.usage[METER.rowsWritten] === 0);
    return reserve();
  });
  const { reservation } = await ask(options, id, asking);
  let result: unknown;
  try {
    result = await next.trigger(request);
  } catch (error) {
    if (reservation) await options.meter.release(reservation.id).catch(() => undefined);
    throw error;
  }
  const { usage, delta } = await doneBy(request, result, want, next);
  const actual = { usage, storageBytes: { delta } };
  const pending = { place, reservation: reservation?.id ?? null, actual, event: { source: EVENT_SOURCE, id: key } };
  await settlePending(options.meter, pending).catch((error: unknown) => {
    throw deny(options, id, undecided(error));
  });
  return result;
};

const isRepeated = (error: unknown): boolean => error instanceof WeirError && error.code === "idempotency_mismatch";

const DELETE = "state::delete";
const COMPARE_AND_SET = "state::compare-and-set";

const KINDS: Readonly<Record<string, "read" | "write">> = {
  "state::get": "read",
  "state::list": "read",
  "state::list_entries": "read",
  "state::list_keys": "read",
  "state::list_groups": "read",
  "state::set": "write",
  "state::update": "write",
  [COMPARE_AND_SET]: "write",
  [DELETE]: "write",
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

/** What a write may count, and what is there before it where that must be known. */
interface Want {
  usage: Usage;
  growthBytes: number;
  payloadBytes: number;
  before?: unknown;
}

/** A removal looks first, for what is not there is no row; so does a comparison, for whether it writes is seen by what is there after it. */
async function wantOf(request: TriggerRequest, next: Client): Promise<Want> {
  const { function_id: id, payload } = request;
  const { key, value, data, ops, ...others } = (isRecord(payload) ? payload : {}) as Record<string, unknown>;
  if (id === DELETE) {
    const before = await stored(request, next);
    return { usage: removal(!isNothing(before)), growthBytes: 0, payloadBytes: 0, before };
  }
  const compares = id === COMPARE_AND_SET;
  const written = id === "state::update" ? ops : (value ?? data);
  // The new value, whatever a comparison names it.
  const bytes = compares ? Math.max(...[written, ...Object.values(others)].map(bytesOf)) : bytesOf(written);
  const rowsRead = compares || id === "state::update" ? { [METER.rowsRead]: 1 } : {};
  const usage = { [METER.requests]: 1, ...rowsRead, [METER.rowsWritten]: 1 };
  const payloadBytes = bytes + Buffer.byteLength(String(key));
  return { usage, growthBytes: bytes, payloadBytes, ...(compares ? { before: await stored(request, next) } : {}) };
}

const removal = (isThere: boolean): Usage => ({ [METER.requests]: 1, [METER.rowsWritten]: isThere ? 1 : 0 });

/** What the key of a request holds now, read beside the meter. */
function stored({ payload }: TriggerRequest, next: Client): Promise<unknown> {
  const { scope, key } = isRecord(payload) ? payload : {};
  return next.trigger({ function_id: "state::get", payload: { scope, key } });
}

/** What a write counted, and by how many bytes it let the stored value grow. */
async function doneBy(request: TriggerRequest, result: unknown, want: Want, next: Client): Promise<{ usage: Usage; delta: number }> {
  const { function_id: id, payload, action } = request;
  const { usage, growthBytes, before } = want;
  // Nobody waits for its answer.
  if (action !== undefined) return { usage, delta: growthBytes - bytesOf(before) };
  if (id !== COMPARE_AND_SET) return { usage, delta: growthOf(id, payload, result, -bytesOf(before)) };
  const after = await stored(request, next);
  const rowsWritten = JSON.stringify(after) === JSON.stringify(before) ? 0 : 1;
  return { usage: { ...usage, [METER.rowsWritten]: rowsWritten }, delta: bytesOf(after) - bytesOf(before) };
}

/** By how many bytes the stored value grew: values as JSON, as the engine stores them. `expected` is what was thought before. */
function growthOf(id: string, payload: unknown, result: unknown, expected: number): number {
  const { old_value: before, new_value: after } = isRecord(result) ? result : {};
  if (id !== DELETE) return bytesOf(after ?? (isRecord(payload) ? payload["value"] : undefined)) - bytesOf(before);
  // Typed as an object that holds the old value, documented as the old value itself: where it may be either, it is what was there before.
  const mayHold = isRecord(result) && ["", "old_value"].includes(Object.keys(result).join());
  const sizes = (mayHold ? [before, result] : [result]).map((value) => -bytesOf(value));
  return sizes.includes(expected) ? expected : (sizes[0] ?? 0);
}

function rowsOf(id: string, result: unknown): number {
  if (id === "state::get") return isNothing(result) ? 0 : 1;
  const listed = isRecord(result) ? (result["groups"] ?? result["keys"] ?? result["entries"]) : result;
  return Math.max(1, Array.isArray(listed) ? listed.length : 1);
}

const isNothing = (value: unknown): boolean => value === null || value === undefined;
const bytesOf = (value: unknown): number => (isNothing(value) ? 0 : Buffer.byteLength(JSON.stringify(value)));
