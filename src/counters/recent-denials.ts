import type { Counters } from "./counters.ts";
import { ask } from "./script.ts";

/** Entries kept of an account. */
export const RECENT_DENIALS_MAX = 50;
const KEPT_S = 86_400;

/** Puts entries, oldest first, before those that are kept of an account, for a day. */
export async function keepDenials({ redis, keys }: Counters, account: string, entries: readonly string[]): Promise<void> {
  const key = keys.denials(account);
  await ask(redis, key, (connection) =>
    connection.call((client) =>
      client
        .multi()
        .lpush(key, ...entries)
        .ltrim(key, 0, RECENT_DENIALS_MAX - 1)
        .expire(key, KEPT_S)
        .exec(),
    ),
  );
}

/** The account's latest entries, newest first. */
export function keptDenials({ redis, keys }: Counters, account: string): Promise<string[]> {
  const key = keys.denials(account);
  return ask(redis, key, (connection) => connection.call((client) => client.lrange(key, 0, RECENT_DENIALS_MAX - 1)));
}
