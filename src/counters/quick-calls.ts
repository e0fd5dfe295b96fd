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

/**
 * An account's own place in line: the last group that waits there. Kept by the account and not in a map by its key: a map that things come to and
 * leave all the time is laid out anew every few of them, each old layout leads to the next, and once the first was old to the collector all that
 * came after looked alive. A kilobyte a check was then copied twice, in pauses of 6 ms.
 */
export class AccountLine {
  last: Group | null = null;
}

/** One operation as quick.lua takes it. Many callers may ask for the same one. */
export interface QuickOperation {
  readonly stateKey: string;
  readonly totalsKey: string;
  readonly shape: Shape;
  /** The account's. */
  readonly line: AccountLine;
  /** The incarnation that gave the leave. */
  readonly runId: string;
  readonly leave: string;
  /** `service/namespace`. */
  readonly place: string;
  /** The totals it adds to, under the name `source`: `epoch/source/bucket/service/namespace/`. */
  label(source: string): string;
}

/** Who waits for an operation. Told once, by one of the last three; none of them may throw. */
export interface Asker {
  /**
   * The name this process counts under now. Asked as late as a call is sent, of one for all that are counted as one: it may have been
   * renewed while they were in line, and a quantity copied under another name than Redis counted it under would be booked twice once
   * Redis is lost.
   */
  source(): string;
  /** `rooms`: what each meter has left, in the shape's order. `source`: the name it was counted under. */
  counted(rooms: readonly number[], source: string): void;
  notCounted(): void;
  failed(error: unknown): void;
}

interface Member {
  readonly operation: QuickOperation;
  readonly asker: Asker;
}

/** Like operations of one account that came one after the other: counted as one, all or none. One at least. */
type Group = [Member, ...Member[]];

/** What waits for one slot. */
interface Lane {
  waiting: Group[];
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
   * Has an operation counted. Like operations of one account that are asked for in one turn stand or fall together. Fails with
   * `unavailable`.
   */
  count(operation: QuickOperation, asker: Asker): void {
    const slot = this.#redis.slotOf(operation.stateKey);
    let lane = this.#lanes.get(slot);
    if (!lane) this.#lanes.set(slot, (lane = { waiting: [], members: 0, underWay: 0, isScheduled: false }));
    if (lane.members >= WAITING_MAX) return asker.failed(unavailable("Redis"));
    putInLine(lane, { operation, asker });
    this.#schedule(lane);
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
      for (const group of [...batch, ...takeFromLine(lane, Infinity)]) for (const { asker } of group) asker.failed(error);
    } finally {
      lane.underWay -= 1;
      this.#schedule(lane);
    }
  }
}

function putInLine(lane: Lane, member: Member): void {
  const { operation } = member;
  const { line } = operation;
  lane.members += 1;
  if (line.last && isLike(line.last[0].operation, operation)) {
    line.last.push(member);
    return;
  }
  line.last = [member];
  lane.waiting.push(line.last);
}

function takeFromLine(lane: Lane, most: number): Group[] {
  const taken = lane.waiting.splice(0, most);
  for (const group of taken) {
    lane.members -= group.length;
    const { line } = group[0].operation;
    if (line.last === group) line.last = null;
  }
  return taken;
}

const isLike = (a: QuickOperation, b: QuickOperation): boolean =>
  a === b || (a.shape === b.shape && a.leave === b.leave && a.place === b.place && a.runId === b.runId && a.totalsKey === b.totalsKey);

async function sendBatch(connection: RedisConnection, batch: readonly Group[]): Promise<void> {
  const runId = connection.runId();
  const known = batch.filter(([first]) => first.operation.runId === runId);
  for (const group of batch) if (group[0].operation.runId !== runId) notCounted(group);
  if (known.length === 0) return;
  const sources = known.map(([first]) => first.asker.source());
  const { keys, args } = written(known, sources);
  const reply = await evaluate(connection, QUICK, keys, args);
  let at = 0;
  known.forEach((group, i) => {
    if (Number(reply[at++]) === 1) {
      counted(group, reply, at, sources[i] ?? "");
      at += group[0].operation.shape.meters.length;
    } else {
      notCounted(group);
    }
  });
}

/** Each shape once, then the groups by its number. */
function written(groups: readonly Group[], sources: readonly string[]): { keys: string[]; args: ScriptArg[] } {
  const shapes = new Map<Shape, number>();
  const keys: string[] = [];
  const rows: ScriptArg[] = [];
  groups.forEach((group, i) => {
    const [{ operation }] = group;
    const { stateKey, totalsKey, shape, leave } = operation;
    let number = shapes.get(shape);
    if (number === undefined) shapes.set(shape, (number = shapes.size + 1));
    keys.push(stateKey, totalsKey);
    rows.push(number, group.length, leave, operation.label(sources[i] ?? ""));
  });
  const named = [...shapes.keys()].flatMap(({ meters, quantities, places, whole }) => [
    meters.length,
    whole,
    ...meters,
    ...quantities,
    ...places,
  ]);
  return { keys, args: [shapes.size, ...named, ...rows] };
}

/** Tells each of a group the rooms it left, as if they had come one after the other; `reply` holds those after the last. */
function counted(group: Group, reply: readonly Reply[], at: number, source: string): void {
  const { quantities } = group[0].operation.shape;
  group.forEach(({ asker }, i) => {
    const after = group.length - 1 - i;
    const rooms = quantities.map((quantity, meter) => Number(reply[at + meter]) + after * quantity);
    asker.counted(rooms, source);
  });
}

function notCounted(group: Group): void {
  for (const { asker } of group) asker.notCounted();
}
