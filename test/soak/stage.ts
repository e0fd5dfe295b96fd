import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { startPostgres, type PostgresServer } from "../../src/servers/postgres.ts";
import type { RedisNode } from "../support/redis-node.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import { WeirCommand, type Stop } from "../support/weir-command.ts";
import { Balancer } from "./balancer.ts";

export const ADMIN_KEY = "the-operators-key-of-the-soak";
/** A primary that is silent this long is replaced. Of a second, a busy machine takes it for dead that lives. */
const NODE_TIMEOUT_MS = 3_000;
const MAX_CONNECTIONS = 200;
const READY_TIME_LIMIT_MS = 30_000;
const READY_POLL_MS = 100;
/** A process that ends before it is ready, as one does whose stores are away, is started again, as a supervisor does. */
const START_TRIES = 10;
const START_AGAIN_MS = 1_000;

/** A process' place. Who is in it changes with each rolling restart, but in those that are let run. */
export interface Seat {
  name: string;
  args: readonly string[];
  rolls: boolean;
  process: WeirCommand;
}

/** Two that serve and two that work are restarted; one that serves lives through it all, so that what grows in it shows. */
const SEATS: readonly Omit<Seat, "process">[] = [
  { name: "serve 1", args: ["serve", "--no-jobs"], rolls: true },
  { name: "serve 2", args: ["serve", "--no-jobs"], rolls: true },
  { name: "serve 3", args: ["serve", "--no-jobs"], rolls: false },
  { name: "worker 1", args: ["worker"], rolls: true },
  { name: "worker 2", args: ["worker"], rolls: true },
];

/** The servers and the processes of a soak. */
export class Stage {
  readonly databaseUrl: string;
  /** Past every process. */
  readonly sql: postgres.Sql;
  readonly balancer = new Balancer();
  readonly seats: Seat[] = [];
  /** How each stop went, and of whom. */
  readonly stops: (Stop & { name: string })[] = [];
  /** What processes wrote, latest last. */
  readonly said: string[] = [];
  /** Starts that came to nothing and were tried again. */
  failedStarts = 0;
  readonly #dir: string;
  readonly #postgres: PostgresServer;
  readonly #cluster: TestCluster;
  #started = 0;

  private constructor(dir: string, server: PostgresServer, cluster: TestCluster) {
    this.#dir = dir;
    this.#postgres = server;
    this.#cluster = cluster;
    this.databaseUrl = server.url;
    this.sql = postgres(server.url, { max: 4, onnotice: () => {}, types: { bigint: postgres.BigInt } });
  }

  static async open(dir: string): Promise<Stage> {
    const [server, cluster] = await Promise.all([
      startPostgres({ dataDir: dir, maxConnections: MAX_CONNECTIONS }),
      TestCluster.start(dir, NODE_TIMEOUT_MS),
    ]);
    const stage = new Stage(dir, server, cluster);
    const [first, ...others] = SEATS;
    const seated = async (seat: (typeof SEATS)[number]): Promise<Seat> => ({ ...seat, process: await stage.#start(seat) });
    // The first alone: it migrates.
    if (first) stage.seats.push(await seated(first));
    stage.seats.push(...(await Promise.all(others.map(seated))));
    return stage;
  }

  /** Restarts one process after the other as a deployment does: the new one is ready before the old one is told to stop. */
  async roll(): Promise<void> {
    for (const seat of this.seats) {
      if (!seat.rolls) continue;
      const old = seat.process;
      seat.process = await this.#start(seat);
      this.stops.push({ name: seat.name, ...(await old.stop()) });
    }
  }

  /** SIGKILLs one primary of three and resolves when its replica has taken its place. The killed one is for `rejoin`. */
  async killPrimary(nth: number): Promise<RedisNode> {
    const victim = (await this.#cluster.primaries())[nth % 3];
    if (!victim) throw new Error("no primary to kill");
    await this.#cluster.failOver(victim);
    return victim;
  }

  rejoin(node: RedisNode): Promise<void> {
    return this.#cluster.rejoin(node);
  }

  primaries(): Promise<readonly RedisNode[]> {
    return this.#cluster.primaries();
  }

  /** Bytes in memory, seat by seat. */
  async memory(): Promise<ReadonlyMap<Seat, number>> {
    const pids = this.seats.map(({ process }) => String(process.pid)).join(",");
    const { stdout } = await promisify(execFile)("ps", ["-o", "pid=,rss=", "-p", pids]).catch(() => ({ stdout: "" }));
    const byPid = new Map([...stdout.matchAll(/(\d+)\s+(\d+)/g)].map(([, pid, rss]) => [Number(pid), Number(rss) * 1024]));
    return new Map(this.seats.flatMap((seat) => (byPid.has(seat.process.pid) ? [[seat, byPid.get(seat.process.pid) ?? 0]] : [])));
  }

  /** Stops every process in good order: what is not in Postgres then is lost. */
  async stopAll(): Promise<void> {
    for (const { name, process } of this.seats) this.stops.push({ name, ...(await process.stop()) });
  }

  async close(): Promise<void> {
    this.balancer.close();
    await Promise.all(this.seats.map(({ process }) => process.stop()));
    await this.sql.end({ timeout: 1 });
    await this.#cluster.stop();
    await this.#postgres.stop();
  }

  async #start({ name, args }: Pick<Seat, "name" | "args">): Promise<WeirCommand> {
    const env = {
      ...process.env,
      DATABASE_URL: this.databaseUrl,
      REDIS_URL: "",
      REDIS_CLUSTER_NODES: this.#cluster.addresses.join(","),
      WEIR_ADMIN_KEY: ADMIN_KEY,
      // A folder belongs to one process, and for a while there are two.
      WEIR_DATA_DIR: join(this.#dir, `weir-${++this.#started}`),
      PORT: "0",
    };
    const started = await this.#startAtLast(args, env, (line) => this.said.push(`${name}: ${line}`));
    if (started.url !== null) {
      await answersReady(started.url);
      this.balancer.add(started.url);
    }
    return started;
  }

  async #startAtLast(...command: Parameters<typeof WeirCommand.start>): Promise<WeirCommand> {
    for (let tries = 1; ; tries++) {
      try {
        return await WeirCommand.start(...command);
      } catch (error) {
        if (tries === START_TRIES) throw error;
        this.failedStarts += 1;
        await sleep(START_AGAIN_MS);
      }
    }
  }
}

async function answersReady(url: string): Promise<void> {
  const deadline = monotonicMs() + READY_TIME_LIMIT_MS;
  while (
    !(await fetch(`${url}/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (monotonicMs() > deadline) throw new Error(`${url} does not become ready`);
    await sleep(READY_POLL_MS);
  }
}
