import { unavailable } from "../kernel/errors.ts";
import type { RedisConnection } from "../stores/redis.ts";
import type { RedisServers } from "../stores/redis-servers.ts";
import { ask, bareScript, evaluate, type Reply, type ScriptArg } from "./script.ts";

const QUICK = bareScript("quick");

/** Operations in one call: at 7 µs each the server does nothing else for half a millisecond. */
const BATCH_MAX = 32;
/** Calls under way for one slot: while the server works on one, the next is on its way. More would only be smaller. */
const CALLS_MAX = 2;
/** Operations in line; beyond them `unavailable`. At 50,000 a second the last would wait 0.6 s. */
const WAITING_MAX = 30_000;

/** Meters with their quantities, as many operations count them: one object for all of these. */
export interface Shape {
  readonly meters: readonly string[];
  readonly quantities: readonly number[];
}

/** One operation as quick.lua takes it. */
export interface QuickOperation {
  readonly stateKey: string;
  readonly totalsKey: string;
  readonly shape: Shape;
  /** The incarnation that gave the leave. */
  readonly runId: string;
  readonly leave: string;
  /** Called as late as the call is sent: whose total it adds to, as `epoch/source/bucket/service/namespace/`. */
  label(): string;
}

interface Waiting {
  operation: QuickOperation;
  /** Told the room of each meter, or null where nothing was counted. */
  resolve: (rooms: number[] | null) => void;
  reject: (error: unknown) => void;
}

interface Lane {
  waiting: Waiting[];
  underWay: number;
  isScheduled: boolean;
}

/**
 * Sends operations to quick.lua, many in one call: those that come up in one turn of the event loop, and those that came while the server
 * was at work. An operation that comes alone is sent at once. A call that fails fails all that are in it and behind it: nobody waits for
 * their turn to be told that the server is silent.
 */
export class QuickCalls {
  readonly #redis: RedisServers;
  readonly #lanes = new Map<number, Lane>();

  constructor(redis: RedisServers) {
    this.#redis = redis;
  }

  /** Answers the room each meter has left, in the shape's order; null where nothing was counted. Throws `unavailable`. */
  count(operation: QuickOperation): Promise<number[] | null> {
    const slot = this.#redis.slotOf(operation.stateKey);
    let lane = this.#lanes.get(slot);
    if (!lane) this.#lanes.set(slot, (lane = { waiting: [], underWay: 0, isScheduled: false }));
    const { waiting } = lane;
    if (waiting.length >= WAITING_MAX) return Promise.reject(unavailable("Redis"));
    const answer = new Promise<number[] | null>((resolve, reject) => waiting.push({ operation, resolve, reject }));
    this.#schedule(lane);
    return answer;
  }

  // Not at once: whoever else asks in this turn goes along. nextTick comes after all that was waiting for the last answer has run.
  #schedule(lane: Lane): void {
    if (lane.isScheduled || lane.underWay >= CALLS_MAX || lane.waiting.length === 0) return;
    lane.isScheduled = true;
    process.nextTick(() => {
      lane.isScheduled = false;
      void this.#send(lane);
    });
  }

  async #send(lane: Lane): Promise<void> {
    const batch = lane.waiting.splice(0, BATCH_MAX);
    const [first] = batch;
    if (!first) return;
    lane.underWay += 1;
    this.#schedule(lane);
    try {
      await ask(this.#redis, first.operation.stateKey, (connection) => sendBatch(connection, batch));
    } catch (error) {
      for (const { reject } of [...batch, ...lane.waiting.splice(0)]) reject(error);
    } finally {
      lane.underWay -= 1;
      this.#schedule(lane);
    }
  }
}

async function sendBatch(connection: RedisConnection, batch: readonly Waiting[]): Promise<void> {
  const runId = connection.runId();
  const sent = batch.filter(({ operation }) => operation.runId === runId);
  const { keys, args } = written(sent.map(({ operation }) => operation));
  const reply = sent.length === 0 ? [] : await evaluate(connection, QUICK, keys, args);
  for (const { operation, resolve } of batch) if (operation.runId !== runId) resolve(null);
  let at = 0;
  for (const { operation, resolve } of sent) {
    const counted = Number(reply[at++]) === 1;
    resolve(counted ? numbers(reply, at, operation.shape.meters.length) : null);
    if (counted) at += operation.shape.meters.length;
  }
}

/** Each shape once, then the operations by its number. */
function written(operations: readonly QuickOperation[]): { keys: string[]; args: ScriptArg[] } {
  const shapes = new Map<Shape, number>();
  const keys: string[] = [];
  const rows: ScriptArg[] = [];
  for (const operation of operations) {
    let number = shapes.get(operation.shape);
    if (number === undefined) shapes.set(operation.shape, (number = shapes.size + 1));
    keys.push(operation.stateKey, operation.totalsKey);
    rows.push(number, operation.leave, operation.label());
  }
  const named = [...shapes.keys()].flatMap(({ meters, quantities }) => [meters.length, ...meters, ...quantities]);
  return { keys, args: [shapes.size, ...named, ...rows] };
}

function numbers(reply: readonly Reply[], from: number, count: number): number[] {
  const found: number[] = [];
  for (let i = from; i < from + count; i++) found.push(Number(reply[i]));
  return found;
}
