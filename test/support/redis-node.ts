import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { freePort } from "../../src/servers/process.ts";
import { killWith } from "./kill-with.ts";

const READY_TIME_LIMIT_MS = 30_000;
const SYNC_TIME_LIMIT_MS = 30_000;

/** A private redis-server that can be killed, restarted with or without its file, followed and promoted. */
export class RedisNode {
  readonly port: number;
  readonly #dir: string;
  readonly #settings: readonly string[];
  #process: ChildProcess | null = null;

  private constructor(port: number, dir: string, settings: readonly string[] = []) {
    this.port = port;
    this.#dir = dir;
    this.#settings = settings;
  }

  static async start(dataDir: string, settings: readonly string[] = []): Promise<RedisNode> {
    const port = await freePort();
    const node = new RedisNode(port, join(dataDir, `redis-${port}`), settings);
    mkdirSync(node.#dir, { recursive: true, mode: 0o700 });
    await node.#run([]);
    return node;
  }

  /** Starts a replica of `primary` and waits until it has caught up. */
  static async follow(primary: RedisNode, dataDir: string): Promise<RedisNode> {
    const port = await freePort();
    const node = new RedisNode(port, join(dataDir, `redis-${port}`));
    mkdirSync(node.#dir, { recursive: true, mode: 0o700 });
    await node.#run(["--replicaof", "127.0.0.1", String(primary.port)]);
    await node.#untilSynced();
    return node;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** SIGKILL: what the kernel has of its file survives. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => running.once("exit", () => resolve()));
    running.kill("SIGKILL");
    await ended;
    this.#process = null;
  }

  /** Starts it again on its port; `keep` false loses the append-only file, as a server without one would. */
  async restart(keep: boolean): Promise<void> {
    if (!keep) rmSync(join(this.#dir, "appendonlydir"), { recursive: true, force: true });
    await this.#run([]);
  }

  flush(): Promise<unknown> {
    return this.ask((client) => client.flushall());
  }

  promote(): Promise<unknown> {
    return this.ask((client) => client.call("REPLICAOF", "NO", "ONE"));
  }

  demote(primary: RedisNode): Promise<unknown> {
    return this.ask(async (client) => {
      await client.call("REPLICAOF", "127.0.0.1", String(primary.port));
      await this.#untilSynced();
    });
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #run(extra: readonly string[]): Promise<void> {
    const settings = [
      "--port",
      String(this.port),
      "--bind",
      "127.0.0.1",
      "--dir",
      this.#dir,
      "--save",
      "",
      "--appendonly",
      "yes",
      "--appendfsync",
      "everysec",
    ];
    const replication = ["--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb"];
    const child = spawn("redis-server", [...settings, ...replication, "--maxmemory-policy", "noeviction", ...this.#settings, ...extra], {
      stdio: "ignore",
    });
    killWith(child);
    this.#process = child;
    const deadline = monotonicMs() + READY_TIME_LIMIT_MS;
    while (
      !(await this.ask((client) => client.ping()).then(
        () => true,
        () => false,
      ))
    ) {
      if (monotonicMs() > deadline) throw new Error(`redis-server on port ${this.port} does not answer`);
      await sleep(10);
    }
  }

  async #untilSynced(): Promise<void> {
    const deadline = monotonicMs() + SYNC_TIME_LIMIT_MS;
    for (;;) {
      const info = await this.ask((client) => client.info("replication"));
      if (/master_link_status:up/.test(info) && /master_sync_in_progress:0/.test(info)) return;
      if (monotonicMs() > deadline) throw new Error(`The replica on port ${this.port} does not catch up`);
      await sleep(10);
    }
  }

  /** Sends to it past everything, on a connection of its own. */
  async ask<T>(use: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis({
      host: "127.0.0.1",
      port: this.port,
      protocol: 2,
      lazyConnect: true,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      commandTimeout: 3_000,
    });
    client.on("error", () => {});
    try {
      await client.connect();
      return await use(client);
    } finally {
      client.disconnect();
    }
  }
}
