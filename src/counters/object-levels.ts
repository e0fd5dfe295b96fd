import type { RedisConnection } from "../stores/redis.ts";
import type { KeySpace } from "./keys.ts";
import { redisFault } from "./script.ts";

/** Committed bytes of objects, by field `service/namespace/object`, as Redis has them; null for one it does not have. */
export async function readObjectLevels(
  connection: RedisConnection,
  keys: KeySpace,
  account: string,
  fields: readonly string[],
): Promise<(number | null)[]> {
  if (fields.length === 0) return [];
  const levels = await connection.call((client) => client.hmget(keys.objects(account), ...fields)).catch(redisFault);
  // "bytes" or "bytes/reserved" (scripts/prelude.lua).
  return levels.map((level) => (level === null ? null : Number(level.split("/")[0])));
}
