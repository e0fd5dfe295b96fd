import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { unavailable, WeirError } from "../kernel/errors.ts";
import type { RedisConnection } from "../stores/redis.ts";
import { atHolder, type RedisServers } from "../stores/redis-servers.ts";

export type Reply = Buffer | number | string | Reply[];

export type ScriptArg = string | number | Buffer;

export interface Script {
  text: string;
  sha: string;
}

const source = (name: string): string => readFileSync(new URL(`scripts/${name}.lua`, import.meta.url), "utf8");

/** Reads `scripts/<name>.lua`, with the prelude before it. */
export const script = (name: string): Script => scriptOf(`${source("prelude")}\n${source(name)}`);

/** The same without the prelude: what it declares is made anew for each call. */
export const bareScript = (name: string): Script => scriptOf(source(name));

const scriptOf = (text: string): Script => ({ text, sha: createHash("sha1").update(text).digest("hex") });

/**
 * Runs a script on the server that holds its keys, with arguments for that server's incarnation: by its hash, sending the text once
 * to a server that does not have it. A refused, lost or late answer is
 * `503 unavailable`: whether it ran is then unknown, and only the operation's idempotency key makes a retry safe.
 */
export function runScript(redis: RedisServers, script: Script, keys: string[], args: (runId: string) => ScriptArg[]): Promise<Reply[]> {
  return ask(redis, keys[0] ?? "", (connection) => evaluate(connection, script, keys, args(connection.runId())));
}

/** Sends to the server that holds `key`. Every fault of Redis is one error to callers: `503 unavailable`. */
export function ask<T>(redis: RedisServers, key: string, send: (connection: RedisConnection) => Promise<T>): Promise<T> {
  return atHolder(redis, key, send).catch(redisFault);
}

/** Runs a script on one server. */
export async function evaluate(connection: RedisConnection, { text, sha }: Script, keys: string[], args: ScriptArg[]): Promise<Reply[]> {
  try {
    return (await connection.call((client) => client.callBuffer("EVALSHA", sha, keys.length, ...keys, ...args))) as Reply[];
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw demoted(connection, error);
  }
  return (await connection.call((client) => client.callBuffer("EVAL", text, keys.length, ...keys, ...args))) as Reply[];
}

// A script's own error (a bug, or memory that is full) is no denial either: nothing was decided.
const asUnavailable = (error: unknown): Error => (error instanceof WeirError ? error : unavailable("Redis", error));

export const text = (reply: Reply | undefined): string => (Buffer.isBuffer(reply) ? reply.toString() : String(reply ?? ""));
export const buffer = (reply: Reply | undefined): Buffer => (Buffer.isBuffer(reply) ? reply : Buffer.from(String(reply ?? "")));

// A primary that has become a replica keeps its connections. Should it be promoted again, it is another incarnation on the same wire:
// only a new connection asks which.
function demoted(connection: RedisConnection, error: unknown): unknown {
  if (error instanceof Error && error.message.startsWith("READONLY")) connection.client.disconnect(true);
  return error;
}

const redisFault = (error: unknown): never => {
  throw asUnavailable(error);
};
