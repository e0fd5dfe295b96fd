import calculateSlot from "cluster-key-slot";
import { monotonicMs, sleep } from "../kernel/clock.ts";
import { NotSent, unavailable } from "../kernel/errors.ts";
import { openRedis, type RedisConnection, type RedisOptions } from "./redis.ts";

/** Slots of any cluster. */
export const CLUSTER_SLOTS = 16_384;
/** The slot of a key on any cluster. */
export const clusterSlotOf = (key: string): number => calculateSlot(key);

/** How often the map of slots is read, milliseconds: a failover is noticed within this time even by a process that sends nothing. */
const LOOK_MS = 500;
const READY_POLL_MS = 20;

/** The servers that hold the counters: one, or the primaries of a cluster, each with its share of the keys. */
export interface RedisServers {
  /** The connection to the server that holds `key`; throws `unavailable` while none is known to. */
  holding(key: string): RedisConnection;
  /** Keys of one slot may stand in one script. A single server is one slot. */
  slotOf(key: string): number;
  /** Those that hold keys now. */
  all(): readonly RedisConnection[];
  /** Learns anew who holds what: a server has said that a key is not its own. */
  look(): Promise<void>;
  /** Resolves when every server answers; rejects with `unavailable` after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void>;
  onRunChange(listener: () => void): void;
  onDoubt(listener: () => void): void;
  close(): Promise<void>;
}

/** A run of slots and the primary that holds it. */
interface Held {
  from: number;
  to: number;
  url: string;
}

/** `CLUSTER SLOTS`: first and last slot, the primary as host, port and id, then its replicas. */
type SlotsReply = [from: unknown, to: unknown, primary: [host: unknown, port: unknown, ...rest: unknown[]], ...replicas: unknown[]][];

/** A node named as a URL or as host:port. */
export const nodeUrl = (node: string): string => (node.includes("://") ? node : `redis://${node}`);

/**
 * The primaries of a Redis Cluster, one plain connection each. Not the client's own cluster mode: that follows a redirect by sending
 * the same arguments to another server, and ours name the incarnation that they are meant for.
 */
export class RedisCluster implements RedisServers {
  readonly #seeds: readonly string[];
  readonly #options: RedisOptions;
  readonly #connections = new Map<string, RedisConnection>();
  readonly #runListeners: (() => void)[] = [];
  readonly #doubters: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #held: Held[] = [];
  #looking: Promise<void> | null = null;

  constructor(nodes: readonly string[], options: RedisOptions) {
    this.#seeds = nodes.map(nodeUrl);
    this.#options = options;
    for (const seed of this.#seeds) this.#connectionTo(seed);
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
  }

  slotOf(key: string): number {
    return calculateSlot(key);
  }

  holding(key: string): RedisConnection {
    const slot = calculateSlot(key);
    const place = this.#held.find(({ from, to }) => slot >= from && slot <= to);
    if (!place) throw new NotSent("Redis");
    return this.#connectionTo(place.url);
  }

  all(): readonly RedisConnection[] {
    return [...this.#holders()].map((url) => this.#connectionTo(url));
  }

  look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => (this.#looking = null));
    return this.#looking;
  }

  async ready(timeoutMs: number): Promise<void> {
    const deadline = monotonicMs() + timeoutMs;
    for (; this.#held.length === 0; await sleep(READY_POLL_MS)) {
      if (monotonicMs() > deadline) throw unavailable("Redis");
      await this.look();
    }
    await Promise.all(this.all().map((connection) => connection.ready(Math.max(0, deadline - monotonicMs()))));
  }

  onRunChange(listener: () => void): void {
    this.#runListeners.push(listener);
    for (const connection of this.#connections.values()) connection.onRunChange(listener);
  }

  onDoubt(listener: () => void): void {
    this.#doubters.push(listener);
    for (const connection of this.#connections.values()) connection.onDoubt(listener);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()));
  }

  // Whoever answers first: primaries, then those the operator named.
  async #lookNow(): Promise<void> {
    for (const url of new Set([...this.#holders(), ...this.#seeds])) {
      const next = await slotsOf(this.#connectionTo(url), url).catch(() => null);
      if (next !== null) return this.#adopt(next);
    }
  }

  #adopt(next: Held[]): void {
    const before = this.#holders();
    this.#held = next;
    const now = this.#holders();
    for (const url of before) if (!now.has(url)) this.#leave(url);
    for (const url of now) {
      // One that was kept to a replica knows the run it was part of then; promoted, it is another incarnation.
      const known = before.has(url) ? null : this.#connections.get(url);
      if (known) known.reconnect();
      else this.#connectionTo(url);
    }
    const changed = before.size > 0 && [...now].some((url) => !before.has(url));
    if (changed) for (const listener of this.#runListeners) listener();
  }

  // A primary that lost its place may get it back with another's data, on this very wire: only a new connection asks which run it is.
  #leave(url: string): void {
    const connection = this.#connections.get(url);
    if (this.#seeds.includes(url)) connection?.reconnect();
    else if (this.#connections.delete(url)) void connection?.close();
  }

  #holders(): Set<string> {
    return new Set(this.#held.map(({ url }) => url));
  }

  #connectionTo(url: string): RedisConnection {
    const known = this.#connections.get(url);
    if (known) return known;
    const connection = openRedis(url, this.#options);
    for (const listener of this.#runListeners) connection.onRunChange(listener);
    for (const listener of this.#doubters) connection.onDoubt(listener);
    this.#connections.set(url, connection);
    return connection;
  }
}

/** The slots as the node at `url` knows them. */
async function slotsOf(connection: RedisConnection, url: string): Promise<Held[]> {
  const reply = (await connection.call((client) => client.call("CLUSTER", "SLOTS"))) as SlotsReply;
  return reply.map(([from, to, [host, port]]) => ({
    from: Number(from),
    to: Number(to),
    url: withPlace(url, String(host ?? ""), Number(port)),
  }));
}

/** The same user, password and TLS at another place. A node that does not know its own name is where it was asked. */
function withPlace(asked: string, host: string, port: number): string {
  const url = new URL(asked);
  if (host !== "") url.hostname = host.includes(":") ? `[${host}]` : host;
  url.port = String(port);
  return url.href;
}
