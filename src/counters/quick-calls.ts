import { unavailable } from "../kernel/errors.ts";
import type { RedisConnection } from "../stores/redis.ts";
import type { RedisServers } from "../stores/redis-servers.ts";
import type { Shape } from "./quick-shape.ts";
import { ask, bareScript, evaluate, type Reply, type ScriptArg } from "./script.ts";

const QUICK = bareScript("quick");

/** Accounts in one call: at 9 µs each the server does nothing else for 0.3 ms. Of 64 callers two calls are made, one of which is always under way. */
const BATCH_MAX = 32;
/** Calls under way for one slot: while the server works on one, the next is on its way. More would only be smaller. */
const CALLS_MAX = 2;
/** Operations in line; beyond them `unavailable`. At 50,000 a second the last would wait 0.6 s. */
const WAITING_MAX = 30_000;

/** One operation as quick.lua takes it. */
export interface QuickOperation {
  readonly stateKey: string;
  readonly totalsKey: string;
  readonly shape: Shape;
  /** The incarnation that gave the leave. */
  readonly runId: string;
  readonly leave: string;
  /** `service/namespace`. */
  readonly place: string;
  /** Called of each operation as late as the call is sent: whose total it adds to, as `epoch/source/bucket/service/namespace/`. */
  label(): string;
}

interface Member {
  operation: QuickOperation;
  /** Told the room of each meter, or null where nothing was counted. */
  resolve: (rooms: number[] | null) => void;
  reject: (error: unknown) => void;
}

/** Like operations of one account that came one after the other: counted as one, all or none. One at least. */
type Group = [Member, ...Member[]];

interface Lane {
  waiting: Group[];
  /** The last group in line of each account. */
  readonly last: Map<string, Group>;
  members: number;
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

  /**
   * Answers the room each meter has left, in the shape's order; null where nothing was counted. Like operations of one account that are
   * asked for in one turn stand or fall together. Throws `unavailable`.
   */
  count(operation: QuickOperation): Promise<number[] | null> {
    const slot = this.#redis.slotOf(operation.stateKey);
    let lane = this.#lanes.get(slot);
    if (!lane) this.#lanes.set(slot, (lane = { waiting: [], last: new Map(), members: 0, underWay: 0, isScheduled: false }));
    if (lane.members >= WAITING_MAX) return Promise.reject(unavailable("Redis"));
    const into = lane;
    const answer = new Promise<number[] | null>((resolve, reject) => putInLine(into, { operation, resolve, reject }));
    this.#schedule(lane);
    return answer;
  }

  // Not at once: whoever else asks in this turn goes along. While a call is under way its answer is waited for anyway, so the turn lasts until
  // every socket that has something to say was read: of 32 clients over HTTP most then share a call. Else what has come up by now goes.
  #schedule(lane: Lane): void {
    if (lane.isScheduled || lane.underWay >= CALLS_MAX || lane.waiting.length === 0) return;
    lane.isScheduled = true;
    const send = (): void => {
      lane.isScheduled = false;
      void this.#send(lane);
    };
    if (lane.underWay > 0) setImmediate(send);
    else process.nextTick(send);
  }

  async #send(lane: Lane): Promise<void> {
    const batch = takeFromLine(lane, BATCH_MAX);
    const [first] = batch;
    if (!first) return;
    lane.underWay += 1;
    this.#schedule(lane);
    try {
      await ask(this.#redis, first[0].operation.stateKey, (connection) => sendBatch(connection, batch));
    } catch (error) {
      for (const group of [...batch, ...takeFromLine(lane, Infinity)]) for (const { reject } of group) reject(error);
    } finally {
      lane.underWay -= 1;
      this.#schedule(lane);
    }
  }
}

function putInLine(lane: Lane, member: Member): void {
  const { operation } = member;
  const group = lane.last.get(operation.stateKey);
  lane.members += 1;
  if (group && isLike(group[0].operation, operation)) {
    group.push(member);
    return;
  }
  const next: Group = [member];
  lane.last.set(operation.stateKey, next);
  lane.waiting.push(next);
}

function takeFromLine(lane: Lane, most: number): Group[] {
  const taken = lane.waiting.splice(0, most);
  for (const group of taken) {
    lane.members -= group.length;
    const { stateKey } = group[0].operation;
    if (lane.last.get(stateKey) === group) lane.last.delete(stateKey);
  }
  return taken;
}

const isLike = (a: QuickOperation, b: QuickOperation): boolean =>
  a.shape === b.shape && a.leave === b.leave && a.place === b.place && a.runId === b.runId && a.totalsKey === b.totalsKey;

async function sendBatch(connection: RedisConnection, batch: readonly Group[]): Promise<void> {
  const runId = connection.runId();
  const [known, others] = [
    batch.filter(([first]) => first.operation.runId === runId),
    batch.filter(([first]) => first.operation.runId !== runId),
  ];
  const { keys, args } = written(known);
  const reply = known.length === 0 ? [] : await evaluate(connection, QUICK, keys, args);
  for (const group of others) tell(group, null, 0);
  let at = 0;
  for (const group of known) {
    const counted = Number(reply[at++]) === 1;
    tell(group, counted ? reply : null, at);
    if (counted) at += group[0].operation.shape.meters.length;
  }
}

/** Each shape once, then the groups by its number. */
function written(groups: readonly Group[]): { keys: string[]; args: ScriptArg[] } {
  const shapes = new Map<Shape, number>();
  const keys: string[] = [];
  const rows: ScriptArg[] = [];
  for (const group of groups) {
    const [{ operation }] = group;
    let number = shapes.get(operation.shape);
    if (number === undefined) shapes.set(operation.shape, (number = shapes.size + 1));
    keys.push(operation.stateKey, operation.totalsKey);
    rows.push(number, group.length, operation.leave, labelOf(group));
  }
  const named = [...shapes.keys()].flatMap(({ meters, quantities, whole }) => [meters.length, whole, ...meters, ...quantities]);
  return { keys, args: [shapes.size, ...named, ...rows] };
}

// Each is asked, not the first alone: the source may have been renewed while they were in line, and one that goes by its old name copies its
// quantity where Redis has not counted it. Both would be booked once Redis is lost.
function labelOf(group: Group): string {
  let label = "";
  for (const { operation } of group) label = operation.label();
  return label;
}

/** Tells each of a group the rooms it left, as if they had come one after the other; `reply` holds those after the last, null where none counted. */
function tell(group: Group, reply: readonly Reply[] | null, at: number): void {
  const { quantities } = group[0].operation.shape;
  group.forEach(({ resolve }, i) => {
    const after = group.length - 1 - i;
    resolve(reply && quantities.map((quantity, meter) => Number(reply[at + meter]) + after * quantity));
  });
}
