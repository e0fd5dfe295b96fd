import { unavailable } from "../kernel/errors.ts";
import { HOUR_MS } from "../kernel/window.ts";
import type { RedisConnection } from "../stores/redis.ts";
import { PARTITIONS, type KeySpace } from "./keys.ts";
import { readHeader } from "./layout.ts";
import { redisFault, runScript, script } from "./script.ts";

const BOOKED = script("booked");

/** Accounts taken from one partition in one go; what is left waits for the next. */
const ACCOUNTS_PER_PARTITION = 500;
/** Changed objects of one account taken in one go. */
const OBJECTS_MAX = 2_000;
/** Idempotency keys of one account taken in one go. */
const KEYS_MAX = 2_000;
/** An hour can still receive usage from a process whose clock lags: its totals are kept this long after its end. */
const HOUR_KEPT_MS = 2 * HOUR_MS;

/** One account's unbooked totals, as read, with the marks that tell whether it has changed since. */
export interface Collected {
  account: string;
  changes: number;
  /** The sums Redis was told last (accounts.foreign_seq); null where the account is not loaded. */
  foreignSeq: number | null;
  /** Field `epoch/source/bucket/service/namespace/meter` → quantity. */
  totals: Map<string, number>;
  /** Field `service/namespace/object` → `epoch/seq/bytes/ms`. */
  objects: Map<string, string>;
  /** Field `~epoch/bucket/gauge` → `from,high,low,level,until,seq`. */
  gauges: Map<string, string>;
  /** Thresholds reached: `meter/period/window start ms` → used. */
  crossings: Map<string, string>;
  /** Idempotency keys: hash → `ms/answer`. */
  keys: [field: Buffer, answered: Buffer][];
  /** Receiving hours (ms) whose totals may go once they are booked. */
  closedHours: number[];
}

type Reply = [error: Error | null, result: unknown];

async function pipelined(connection: RedisConnection, commands: [string, ...(string | number)[]][]): Promise<unknown[]> {
  if (commands.length === 0) return [];
  const replies = ((await connection.call((client) => client.pipeline(commands).exec()).catch(redisFault)) ?? []) as Reply[];
  return replies.map(([error, result]) => {
    if (error) throw unavailable("Redis", error);
    return result;
  });
}

/** Accounts that have something to book: at most 500 of each partition. */
export async function dirtyAccounts(connection: RedisConnection, keys: KeySpace): Promise<string[]> {
  const commands = Array.from({ length: PARTITIONS }, (_, p): [string, string, number] => [
    "srandmember",
    keys.dirty(p),
    ACCOUNTS_PER_PARTITION,
  ]);
  return (await pipelined(connection, commands)).flatMap((members) => members as string[]);
}

/** How many accounts wait to be booked. */
export async function dirtyCount(connection: RedisConnection, keys: KeySpace): Promise<number> {
  const commands = Array.from({ length: PARTITIONS }, (_, p): [string, string] => ["scard", keys.dirty(p)]);
  return (await pipelined(connection, commands)).reduce((sum: number, n) => sum + Number(n), 0);
}

/** Reads what the accounts have to book. The change marks are read before the totals, so a change in between keeps the account dirty. */
export async function collect(connection: RedisConnection, keys: KeySpace, accounts: string[], now: number): Promise<Collected[]> {
  const states = await Promise.all(
    accounts.map((account) => connection.call((client) => client.hmgetBuffer(keys.state(account), "h", "hours")).catch(redisFault)),
  );
  const hours = states.map(([, list]) => (list?.toString() ?? "").split(",").filter(Boolean).map(Number));
  const commands = accounts.flatMap((account, i): [string, ...(string | number)[]][] => [
    ["hscan", keys.changedObjects(account), 0, "COUNT", OBJECTS_MAX],
    ["hscanBuffer", keys.keysToBook(account), 0, "COUNT", KEYS_MAX],
    ["hgetall", keys.crossings(account)],
    ...(hours[i] ?? []).map((hour): [string, string] => ["hgetall", keys.totals(account, hour)]),
  ]);
  const replies = await pipelined(connection, commands);
  let next = 0;
  return accounts.map((account, i) => {
    const header = states[i]?.[0];
    const [, objects] = replies[next++] as [string, string[]];
    const [, answered] = replies[next++] as [Buffer, Buffer[]];
    const crossings = new Map(Object.entries(replies[next++] as Record<string, string>));
    const totals = new Map<string, number>();
    const gauges = new Map<string, string>();
    for (const _ of hours[i] ?? []) {
      for (const [field, value] of Object.entries(replies[next++] as Record<string, string>)) {
        if (field.startsWith("~")) gauges.set(field, value);
        // A process whose clock lags over midnight counts the new day's bucket in the old hour's key, and goes on in the new one's.
        else totals.set(field, (totals.get(field) ?? 0) + Number(value));
      }
    }
    return {
      account,
      changes: header ? readHeader(header).changes : 0,
      foreignSeq: header ? readHeader(header).foreignSeq : null,
      totals,
      gauges,
      objects: new Map(pairs(objects)),
      keys: pairs(answered),
      crossings,
      closedHours: (hours[i] ?? []).filter((hour) => hour + HOUR_MS + HOUR_KEPT_MS <= now),
    };
  });
}

/** Lets go of what is booked now. An account that changed meanwhile stays dirty. */
export async function markBooked(
  connection: RedisConnection,
  keys: KeySpace,
  { account, changes, objects, keys: answered, crossings, closedHours }: Collected,
): Promise<boolean> {
  const hourKeys = closedHours.map((hour) => keys.totals(account, hour));
  const args = [
    account,
    changes,
    objects.size,
    answered.length,
    crossings.size,
    ...[...objects].flat(),
    ...answered.map(([field]) => field),
    ...[...crossings].flat(),
    ...closedHours,
  ];
  const accountKeys = [keys.state(account), keys.changedObjects(account), keys.keysToBook(account), keys.dirtyOf(account), keys.crossings(account)];
  const reply: unknown = await runScript(connection, BOOKED, [...accountKeys, ...hourKeys], args);
  return Number(reply) === 1;
}

function pairs<T>(flat: T[]): [T, T][] {
  const found: [T, T][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) found.push([flat[i] as T, flat[i + 1] as T]);
  return found;
}
