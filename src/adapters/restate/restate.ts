import { randomBase62 } from "../../kernel/ids.ts";
import { MeteredCall, type Declared, type MeteringOptions } from "../metered-call.ts";
import { placeOf, type Naming } from "../names.ts";
import { overlay } from "../overlay.ts";
import { METER, type Place } from "../port.ts";
import { measureObject } from "./sql.ts";

export { httpPort } from "../http-port.ts";

/** The source of this adapter's events. */
export const EVENT_SOURCE = "weir/restate";
/** The journaled decisions are named `weir:0`, `weir:1` … */
export const STEP = "weir:";

interface Serde {
  serialize(value: unknown): Uint8Array;
}

const JSON_SERDE: Serde = { serialize: (value) => Buffer.from(JSON.stringify(value) ?? "") };

/** What is used of Restate's contexts. */
interface StateContext {
  readonly key: string;
  request(): {
    readonly id: string;
    readonly target: { readonly service: string };
    readonly headers: ReadonlyMap<string, string>;
    readonly attemptCompletedSignal: AbortSignal;
  };
  run<T>(name: string, action: () => Promise<T>): PromiseLike<T>;
  get(name: string, serde?: Serde): Promise<unknown>;
  stateKeys(): Promise<string[]>;
  set(name: string, value: unknown, serde?: Serde): void;
  clear(name: string): void;
  clearAll(): void;
}

/** What an invocation is known by. */
export interface Call {
  service: string;
  key: string;
  headers: ReadonlyMap<string, string>;
}

export interface RestateMeterOptions extends MeteringOptions, Naming<Call> {
  /** The SDK's class: what it throws is final to Restate. */
  TerminalError: new (message: string, options: { errorCode: number; metadata: Record<string, string> }) => Error;
  /** The admin API. With it an invocation that may write begins by measuring its object, and bytes and removed rows are exact. */
  adminUrl?: string;
  /** The service's own default serde where that is not JSON: payloads are measured with it. */
  serde?: Serde;
  /** Told of durations that could not be reported. */
  onTrouble?: (error: unknown) => void;
}

type Handler = (ctx: never, ...input: never[]) => Promise<unknown>;

export interface RestateMeter {
  /** Meters a handler that may write: a Virtual Object's exclusive one, or a Workflow's `run`. */
  handler<F extends Handler>(fn: F, declared?: Declared): F;
  /** Meters a shared handler, which only reads. */
  shared<F extends Handler>(fn: F, declared?: Declared): F;
  /** Holds afresh, journaled: for a handler that learns on its way what it will do, or has slept past its hold. */
  hold(ctx: object, declared: Declared): Promise<void>;
  /** Resolves once everything that attempts had to tell is told. */
  idle(): Promise<void>;
}

/** Meters handlers: Weir decides and counts what they do with their state. README.md has the table. */
export function restateMeter(options: RestateMeterOptions): RestateMeter {
  const calls = new WeakMap<object, MeteredCall>();
  const telling = new Set<Promise<void>>();
  const tell = (work: Promise<void>): void => {
    const told: Promise<void> = work.catch((error: unknown) => options.onTrouble?.(error)).finally(() => telling.delete(told));
    telling.add(told);
  };
  const wrap = <F extends Handler>(fn: F, writes: boolean, declared?: Declared): F => {
    if (Object.getOwnPropertySymbols(fn).length > 0) {
      throw new TypeError("Meter the function, then make a handler of it: createObjectSharedHandler(meter.shared(fn)).");
    }
    const metered = function (this: unknown, ctx: StateContext, ...input: never[]): Promise<unknown> {
      const call = meteredCall(options, ctx, writes);
      const counting = countingContext(ctx, call, options.serde ?? JSON_SERDE);
      calls.set(counting, call);
      whenCutOff(options, ctx, call, tell);
      return carryOut(options, call, declared, () => fn.call(this, counting as never, ...input));
    };
    return metered as unknown as F;
  };
  return {
    handler: (fn, declared) => wrap(fn, true, declared),
    shared: (fn, declared) => wrap(fn, false, declared),
    hold: async (ctx, declared) => {
      const call = calls.get(ctx);
      if (!call) throw new TypeError("That is not the context of a metered handler.");
      await call.hold(declared);
    },
    idle: async () => {
      while (telling.size > 0) await Promise.all(telling);
    },
  };
}

/** Where the usage of a call belongs. */
export const placeOfCall = (options: RestateMeterOptions, call: Call): Place => placeOf(options, call, call.service, call.key);

/** One attempt of an invocation: a replay takes its decisions from the journal and comes to the same totals. */
function meteredCall(options: RestateMeterOptions, ctx: StateContext, writes: boolean): MeteredCall {
  const { id, target, headers } = ctx.request();
  const { TerminalError, adminUrl } = options;
  return new MeteredCall(options, {
    place: placeOfCall(options, { service: target.service, key: ctx.key, headers }),
    key: `restate:${id}`,
    source: EVENT_SOURCE,
    writes,
    deny: ({ message, status, metadata }) => new TerminalError(message, { errorCode: status, metadata }),
    journal: (step, decide) => ctx.run(`${STEP}${step}`, decide),
    ...(adminUrl === undefined ? {} : { measure: () => measureObject(adminUrl, target.service, ctx.key) }),
  });
}

async function carryOut(
  { TerminalError }: RestateMeterOptions,
  call: MeteredCall,
  declared: Declared | undefined,
  handle: () => Promise<unknown>,
): Promise<unknown> {
  let end: { value: unknown } | { error: unknown };
  try {
    await call.begin(declared);
    end = { value: await handle() };
  } catch (error) {
    // Anything else is retried by Restate, and goes on under the same hold.
    if (!(error instanceof TerminalError)) throw error;
    end = { error };
  }
  // Not journaled: repeated, it is the same settlement. While Weir is away Restate repeats it.
  await call.settle(call.takeDuration());
  if ("error" in end) throw end.error;
  return end.value;
}

/** Of a suspension a handler hears nothing: the time in memory of an attempt that was not the last is told when the attempt is over. */
function whenCutOff(options: RestateMeterOptions, ctx: StateContext, call: MeteredCall, tell: (work: Promise<void>) => void): void {
  const { id, target, headers, attemptCompletedSignal } = ctx.request();
  attemptCompletedSignal.addEventListener("abort", () => {
    const usage = call.takeDuration();
    if (!usage[METER.duration]) return;
    const place = placeOfCall(options, { service: target.service, key: ctx.key, headers });
    tell(options.meter.record([{ ...place, usage, source: EVENT_SOURCE, id: `restate:${id}:attempt:${randomBase62(12)}` }]));
  });
}

/** What the handler sees: its context, with the state operations counted. Each is journaled at once, in its order, as without it. */
function countingContext(ctx: StateContext, call: MeteredCall, serde: Serde): StateContext {
  const operations: Pick<StateContext, "get" | "stateKeys" | "set" | "clear" | "clearAll"> = {
    get: (name, own) => call.read(ctx.get(name, own), (value) => (value === null ? 0 : 1)),
    stateKeys: () => call.read(ctx.stateKeys(), (keys) => Math.max(1, keys.length)),
    set: (name, value, own) => {
      call.put(name, Buffer.byteLength(name) + (own ?? serde).serialize(value).byteLength);
      ctx.set(name, value, own);
    },
    clear: (name) => {
      call.remove(name);
      ctx.clear(name);
    },
    clearAll: () => {
      call.removeAll();
      ctx.clearAll();
    },
  };
  return overlay(ctx, operations);
}
