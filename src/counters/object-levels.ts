import type { RedisServers } from "../stores/redis-servers.ts";
import type { KeySpace } from "./keys.ts";
import { ask } from "./script.ts";

/** Committed bytes of objects, by field `service/namespace/object`, as Redis has them; null for one it does not have. */
export async function readObjectLevels(
  redis: RedisServers,
  keys: KeySpace,
  account: string,
  fields: readonly string[],
): Promise<(number | null)[]> {
  if (fields.length === 0) return [];
  const key = keys.objects(account);
  const levels = await ask(redis, key, (connection) => connection.call((client) => client.hmget(key, ...fields)));
  // "bytes" or "bytes/reserved" (scripts/prelude.lua).
  return levels.map((level) => (level === null ? null : Number(level.split("/")[0])));
}
