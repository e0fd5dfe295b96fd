import { unavailable, WeirError } from "../kernel/errors.ts";
import { HOUR_MS } from "../kernel/window.ts";
import type { RedisConnection } from "../stores/redis.ts";
import type { RedisServers } from "../stores/redis-servers.ts";
import { accountOf } from "./branch-names.ts";
import { PARTITIONS, type KeySpace } from "./keys.ts";
import { readCrossings, type Crossing } from "./crossing.ts";
import { readHeader } from "./layout.ts";
import { eachTotal } from "./quick-shape.ts";
import { eachOf, placesIn, restArgs, type Place } from "./resting.ts";
import { ask, buffer, runScript, script, text, type Reply, type ScriptArg } from "./script.ts";
import { groupsBySlot } from "./slot-groups.ts";

const BOOKED = script("booked");
const COLLECT = script("collect");

/** Accounts taken from one partition in one go; what is left waits for the next. */
const ACCOUNTS_PER_PARTITION = 500;
/** Changed objects of one account taken in one go. */
const OBJECTS_MAX = 2_000;
/** Idempotency keys of one account taken in one go: more than come up between two roll-ups, so that usage and its keys are booked together. */
const KEYS_MAX = 16_384;
/** The hours are not the present one alone, and another may begin between two reads; four in a row is a fault. */
const COLLECT_ATTEMPTS_MAX = 4;
/** Accounts read or marked in one call: at some 20 µs each the server does nothing else for 0.6 ms. */
const BATCH_MAX = 32;
/**
 * Such calls under way for one batch of accounts. Sent all at once, as many as there are partitions, they stood before every check: on two busy cores
 * for more than the 200 ms that one may wait.
 */
const CALLS_AT_ONCE = 2;
/** Fields and members read in one call; what one account brings beyond it, it brings alone. */
const READ_MAX = 2_000;
/** Totals of an account's hour beyond which those that do not grow are laid at rest: of a few processes, meters and places there are fewer. */
const TOTALS_MANY = 64;
/** Objects and keys to forget that take as long as an account with none. */
const FORGOTTEN_PER_ACCOUNT = 32;
/** An hour can still receive usage from a process whose clock lags: its totals are kept this long after its end. */
const HOUR_KEPT_MS = 2 * HOUR_MS;

/** What one account, or one branch of a hot one, has unbooked, as read, with the marks that tell whether it has changed since. */
export interface Collected {
  /** Its name in Redis. */
  name: string;
  account: string;
  changes: number;
  /** The sums Redis was told last (accounts.foreign_seq); null where the account is not loaded, and of a branch, which is told none. */
  foreignSeq: number | null;
  /** Field `epoch/source/bucket/service/namespace/meter` → quantity; the source is a process or a lease. */
  totals: Map<string, number>;
  /** Field `service/namespace/object` → `epoch/seq/bytes/ms`. */
  objects: Map<string, string>;
  /** Field `~epoch/bucket/gauge` → `from,high,low,level,until,seq`. */
  gauges: Map<string, string>;
  /** Thresholds reached, as noted. */
  crossings: Map<string, string>;
  /** The same, read. */
  reached: Crossing[];
  /** Idempotency keys: hash → `ms/answer`. */
  keys: [field: Buffer, answered: Buffer][];
  /** By receiving hour (ms) with very many totals: the places whose totals may rest once they are booked. */
  large: Map<number, Place[]>;
  /** Receiving hours (ms) whose totals may go once they are booked. */
  closedHours: number[];
}

type PipelineReply = [error: Error | null, result: unknown];

async function pipelined(connection: RedisConnection, commands: [string, ...(string | number)[]][]): Promise<unknown[]> {
  const replies = ((await connection.call((client) => client.pipeline(commands).exec())) ?? []) as PipelineReply[];
  return replies.map(([error, result]) => {
    if (error) throw unavailable("Redis", error);
    return result;
  });
}

/** Asks every server about the dirty sets it holds, in one trip each; a server's answer, or why there is none. */
async function ofDirtySets(
  redis: RedisServers,
  keys: KeySpace,
  command: string,
  ...args: number[]
): Promise<PromiseSettledResult<unknown[]>[]> {
  const partitions = Array.from({ length: PARTITIONS }, (_, p) => keys.dirty(p));
  const held = Map.groupBy(partitions, (key) => redis.holding(key));
  return Promise.allSettled(
    [...held].map(([connection, names]) =>
      pipelined(
        connection,
        names.map((name) => [command, name, ...args]),
      ),
    ),
  );
}

const awayOf = (answers: PromiseSettledResult<unknown>[]): WeirError | null => {
  const refused = answers.find((answer) => answer.status === "rejected");
  return refused === undefined ? null : refused.reason instanceof WeirError ? refused.reason : unavailable("Redis", refused.reason);
};

export interface DirtyAccounts {
  /** By the server that holds them: at most 500 of each partition. */
  accounts: string[][];
  /** These are all there are. */
  complete: boolean;
  /** Of a server that does not answer. */
  away: WeirError | null;
}

/** Accounts that have something to book. */
export async function dirtyAccounts(redis: RedisServers, keys: KeySpace): Promise<DirtyAccounts> {
  const answers = await ofDirtySets(redis, keys, "srandmember", ACCOUNTS_PER_PARTITION);
  const accounts = answers.map((answer) => (answer.status === "fulfilled" ? answer.value.flatMap((members) => members as string[]) : []));
  const complete = answers.every(
    (answer) => answer.status === "fulfilled" && answer.value.every((members) => (members as string[]).length < ACCOUNTS_PER_PARTITION),
  );
  return { accounts, complete, away: awayOf(answers) };
}

/** How many accounts wait to be booked; throws `unavailable` when any server is away. */
export async function dirtyCount(redis: RedisServers, keys: KeySpace): Promise<number> {
  const answers = await ofDirtySets(redis, keys, "scard");
  const away = awayOf(answers);
  if (away) throw away;
  return answers.reduce(
    (sum, answer) => sum + (answer.status === "fulfilled" ? answer.value.reduce((n: number, part) => n + Number(part), 0) : 0),
    0,
  );
}

/** Notes that all that was acknowledged before `at` is booked. */
export async function noteRolledUp(redis: RedisServers, keys: KeySpace, at: number): Promise<void> {
  const key = keys.rolledUp();
  await ask(redis, key, (connection) => connection.call((client) => client.set(key, at)));
}

/** Before when everything is booked, epoch ms; null where no roll-up has noted it. */
export async function rolledUpAt(redis: RedisServers, keys: KeySpace): Promise<number | null> {
  const key = keys.rolledUp();
  const noted = await ask(redis, key, (connection) => connection.call((client) => client.get(key)));
  return noted === null ? null : Number(noted);
}

/** An account or branch to be read, with the receiving hours it is thought to have, as Redis writes them. */
interface Look {
  name: string;
  hours: string;
  /** How often they were others. */
  misses: number;
}

/**
 * Reads what the accounts have to book, each at one moment: a key whose usage was not read with it, or usage without its key, would be
 * booked apart. A script is told its keys, so first each is thought to have the present hour alone; one that has others says which, and
 * is read by the next call, which may find that one more has begun.
 */
export async function collect(redis: RedisServers, keys: KeySpace, names: string[], now: number): Promise<Collected[]> {
  const found: Collected[] = [];
  const present = `${now - (now % HOUR_MS)},`;
  let looks: Look[] = names.map((name) => ({ name, hours: present, misses: 0 }));
  // Each call reads at least its first account, or learns its hours: no more rounds than accounts and attempts.
  while (looks.length > 0) {
    const again: Look[] = [];
    const groups = groupsBySlot(looks, ({ name }) => redis.slotOf(keys.state(name)), BATCH_MAX);
    const asked = looks;
    await aFewAtOnce(groups, async (places) => {
      const batch = places.flatMap((place) => asked[place] ?? []);
      const reply = await readBatch(redis, keys, batch);
      batch.forEach((look, i) => {
        const answer = reply[i];
        if (Array.isArray(answer)) found.push(collected(look.name, answer, hoursOf(look), now));
        else again.push(typeof answer === "number" ? look : { ...look, hours: text(answer), misses: look.misses + 1 });
      });
    });
    if (again.some(({ misses }) => misses === COLLECT_ATTEMPTS_MAX)) throw unavailable("A steady view of the account");
    looks = again;
  }
  return found;
}

async function aFewAtOnce(groups: readonly number[][], call: (places: number[]) => Promise<unknown>): Promise<void> {
  const waiting = [...groups];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await call(next);
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, lane));
}

const hoursOf = ({ hours }: Look): number[] => hours.split(",").filter(Boolean).map(Number);

function readBatch(redis: RedisServers, keys: KeySpace, batch: readonly Look[]): Promise<Reply[]> {
  const ofBatch = batch.flatMap((look) => {
    const { name } = look;
    const totals = hoursOf(look).flatMap((hour) => [keys.totals(name, hour), keys.resting(name, hour)]);
    return [keys.state(name), keys.changedObjects(name), keys.keysToBook(name), keys.crossings(name), ...totals];
  });
  const args = batch.flatMap((look) => [look.hours, hoursOf(look).length]);
  return runScript(redis, COLLECT, ofBatch, () => [OBJECTS_MAX, KEYS_MAX, READ_MAX, ...args]);
}

function collected(name: string, [packed, limits, objects, answered, noted, ...hashes]: Reply[], hours: number[], now: number): Collected {
  const crossings = textMap(noted);
  const header = buffer(packed).length > 0 ? readHeader(buffer(packed)) : null;
  const totals = new Map<string, number>();
  const gauges = new Map<string, string>();
  const add = (total: string, quantity: number): void => void totals.set(total, (totals.get(total) ?? 0) + quantity);
  const answeredKeys: Collected["keys"] = [];
  eachPair(answered, (field, value) => answeredKeys.push([field, value]));
  const large: Collected["large"] = new Map();
  for (const [i, hash] of hashes.entries()) {
    const read = textMap(hash);
    const places = placesIn(read);
    if (read.size > TOTALS_MANY) large.set(hours[i] ?? 0, [...places.values()]);
    // A process whose clock lags over midnight counts the new day's bucket in the old hour's key, and goes on in the new one's.
    for (const place of places.values()) eachOf(place, (field, value) => eachTotal(field, value, add));
    for (const [field, value] of read) {
      if (field.startsWith("~")) gauges.set(field, value);
      // A lease's total of its one bucket: the later hour's is the whole of it, not more of it.
      else if (field.startsWith("=")) totals.set(field.slice(1), Math.max(totals.get(field.slice(1)) ?? 0, Number(value)));
    }
  }
  const account = accountOf(name);
  return {
    name,
    account,
    changes: header?.changes ?? 0,
    foreignSeq: header !== null && name === account ? header.foreignSeq : null,
    totals,
    large,
    gauges,
    objects: textMap(objects),
    keys: answeredKeys,
    crossings,
    reached: readCrossings(crossings, header && { windows: header, limits: text(limits), limitsVersion: header.limitsVersion }),
    closedHours: hours.filter((hour) => hour + HOUR_MS + HOUR_KEPT_MS <= now),
  };
}

/** Lets go of what is booked now. Accounts that changed meanwhile stay dirty. */
export async function markBooked(redis: RedisServers, keys: KeySpace, booked: readonly Collected[]): Promise<void> {
  const slotOf = ({ name }: Collected): number => redis.slotOf(keys.state(name));
  await aFewAtOnce(groupsBySlot(booked, slotOf, BATCH_MAX, weightOf), (places) => {
    const batch = places.flatMap((place) => booked[place] ?? []);
    const ofBatch = batch.flatMap((c) => bookedKeys(keys, c));
    const args = batch.flatMap(bookedArgs);
    return runScript(redis, BOOKED, ofBatch, () => args);
  });
}

/** An account with much to forget goes with few others, or alone. */
const weightOf = ({ objects, keys, crossings, large }: Collected): number => {
  const laid = [...large.values()].flat().reduce((sum, { fields }) => sum + fields.length, 0);
  return 1 + (objects.size + keys.length + crossings.size + laid) / FORGOTTEN_PER_ACCOUNT;
};

const bookedKeys = (keys: KeySpace, { name, closedHours, large }: Collected): string[] => [
  keys.state(name),
  keys.changedObjects(name),
  keys.keysToBook(name),
  keys.dirtyOf(name),
  keys.crossings(name),
  ...[...closedHours, ...large.keys()].flatMap((hour) => [keys.totals(name, hour), keys.resting(name, hour)]),
];

const bookedArgs = ({ name, changes, objects, keys, crossings, closedHours, large }: Collected): ScriptArg[] => [
  name,
  changes,
  objects.size,
  keys.length,
  crossings.size,
  closedHours.length,
  large.size,
  ...[...objects].flat(),
  ...keys.map(([field]) => field),
  ...[...crossings].flat(),
  ...closedHours,
  ...[...large.values()].flatMap((places) => [places.length, ...places.flatMap(restArgs)]),
];

/** Each field and value of a flat list. */
function eachPair(flat: Reply | undefined, see: (field: Buffer, value: Buffer) => void): void {
  if (!Array.isArray(flat)) return;
  for (let i = 0; i < flat.length; i += 2) see(buffer(flat[i]), buffer(flat[i + 1]));
}

function textMap(flat: Reply | undefined): Map<string, string> {
  const found = new Map<string, string>();
  eachPair(flat, (field, value) => found.set(field.toString(), value.toString()));
  return found;
}
