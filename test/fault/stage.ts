import postgres from "postgres";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { startPostgres, type PostgresServer } from "../../src/servers/postgres.ts";
import { openPostgres, type Db, type Postgres } from "../../src/stores/database.ts";
import { migrate } from "../../src/stores/migrate.ts";
import { WeirProcess, type ChildOptions } from "./child.ts";
import { RedisNode } from "../support/redis-node.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export const ADMIN_KEY = "fault-harness-admin-key";
const APIS = 2;
const WORKERS = 1;
/** Each process' clock is off by up to this much, either way. */
export const SKEW_MS = 150;
const POSTGRES_TIME_LIMIT_MS = 30_000;
const BOOK_TIME_LIMIT_MS = 30_000;
const MAX_CONNECTIONS = 200;

/** A Weir process' place: its proxies stay, the process in it may be killed and replaced. */
export interface Seat {
  role: ChildOptions["role"];
  redis: TcpProxy;
  postgres: TcpProxy;
  skewMs: number;
  process: WeirProcess;
  /** Set while a replacement is on its way. */
  starting: Promise<void> | null;
}

/** The servers and processes of a campaign, and how each is hurt and healed. */
export class Stage {
  readonly seats: Seat[] = [];
  readonly #dataDir: string;
  readonly #postgres: PostgresServer;
  readonly #log: (line: string) => void;
  primary: RedisNode;
  /** Servers that were replaced and still live. */
  readonly abandoned: RedisNode[] = [];
  /** Processes that ended without being told to. */
  ended = 0;
  /** Harness' own way to Postgres, past every proxy. */
  sql: postgres.Sql;
  #ledger: Postgres;
  #databaseUrl: string;
  #databases = 0;
  #clockAt: number;
  #clockSince = monotonicMs();

  private constructor(dataDir: string, server: PostgresServer, redis: RedisNode, startAt: number, log: (line: string) => void) {
    this.#dataDir = dataDir;
    this.#postgres = server;
    this.#databaseUrl = server.url;
    this.primary = redis;
    this.#clockAt = startAt;
    this.#log = log;
    this.sql = connect(server.url);
    this.#ledger = openPostgres(server.url, { poolSize: 1 });
  }

  static async open(dataDir: string, startAt: number, log: (line: string) => void): Promise<Stage> {
    const [server, redis] = await Promise.all([
      startPostgres({ dataDir, fast: true, maxConnections: MAX_CONNECTIONS }),
      RedisNode.start(dataDir),
    ]);
    const stage = new Stage(dataDir, server, redis, startAt, log);
    await stage.#seatAll();
    return stage;
  }

  /** The same way, as the ledger's own queries take it. */
  get db(): Db {
    return this.#ledger.db;
  }

  /** What the clocks show, but for their skew. */
  get now(): number {
    return this.#clockAt + monotonicMs() - this.#clockSince;
  }

  get apis(): Seat[] {
    return this.seats.filter((seat) => seat.role === "api");
  }

  get workers(): Seat[] {
    return this.seats.filter((seat) => seat.role === "worker");
  }

  get dataDir(): string {
    return this.#dataDir;
  }

  /** Moves every running process' clock; each hears of it when it hears of it. */
  async setClock(at: number): Promise<void> {
    this.#clockAt = at;
    this.#clockSince = monotonicMs();
    await Promise.all(this.seats.map((seat) => seat.process.order({ kind: "clock", at: Math.floor(at) + seat.skewMs }).catch(() => 0)));
  }

  /** SIGKILL, and a replacement at once. */
  async killProcess(seat: Seat): Promise<void> {
    await seat.process.kill();
    seat.starting = this.#startIn(seat).then((process) => {
      seat.process = process;
      seat.starting = null;
    });
    // Heard of in `heal`.
    seat.starting.catch(() => {});
  }

  killPostgres(signal: NodeJS.Signals): void {
    this.#postgres.kill(signal);
  }

  /** Points every proxy at `node`, or only those of `seats`, and resets what is open through them. */
  useRedis(node: RedisNode, seats: readonly Seat[] = this.seats): void {
    for (const { redis } of seats) {
      redis.pointAt(node.port);
      redis.cut();
    }
  }

  /** Ends every fault: processes run, proxies pass, one Redis, Postgres answers. */
  async heal(): Promise<void> {
    this.primary.signal("SIGCONT");
    for (const seat of this.seats) {
      seat.process.signal("SIGCONT");
      for (const proxy of [seat.redis, seat.postgres]) proxy.mode = "pass";
      if (seat.redis.target !== this.primary.port) this.useRedis(this.primary, [seat]);
    }
    for (const node of this.abandoned.splice(0)) {
      await node.kill();
      node.remove();
    }
    await this.#postgresAnswers();
    for (const seat of this.seats) {
      await seat.starting;
      if (seat.process.running) continue;
      // The Postgres driver may throw where nobody can catch it when its server dies. Whoever runs Weir starts it again.
      this.ended += 1;
      await this.killProcess(seat);
      await seat.starting;
    }
    await this.setClock(this.now);
  }

  /** Books until nothing is left to book, in every process. */
  async bookAll(): Promise<void> {
    const deadline = monotonicMs() + BOOK_TIME_LIMIT_MS;
    for (let failure = ""; ;) {
      let dirty = 0;
      for (const { process } of this.seats) {
        dirty += await process.order({ kind: "book" }).catch((error: unknown) => {
          failure = String(error);
          return 1;
        });
      }
      if (dirty === 0) return;
      if (monotonicMs() > deadline) throw new Error(`Not everything could be booked: ${failure}`);
      await sleep(50);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.seats.map((seat) => (seat.starting ?? Promise.resolve()).catch(() => {})));
    await Promise.all(this.seats.map((seat) => seat.process.kill()));
    await Promise.all(this.seats.flatMap((seat) => [seat.redis.close(), seat.postgres.close()]));
    for (const node of [this.primary, ...this.abandoned]) await node.kill();
    await this.sql.end({ timeout: 1 }).catch(() => {});
    await this.#ledger.close().catch(() => {});
    await this.#postgres.stop();
  }

  async #seatAll(): Promise<void> {
    const name = `fault_${++this.#databases}`;
    await this.sql.unsafe(`CREATE DATABASE ${name}`);
    const url = new URL(this.#databaseUrl);
    url.pathname = `/${name}`;
    this.#databaseUrl = url.href;
    await this.sql.end();
    this.sql = connect(url.href);
    await this.#ledger.close();
    this.#ledger = openPostgres(url.href, { poolSize: 1 });
    await migrate(url.href);
    const roles = [...Array.from({ length: APIS }, () => "api" as const), ...Array.from({ length: WORKERS }, () => "worker" as const)];
    // The first alone: it puts the catalogue into the new database.
    for (const [i, role] of roles.entries()) {
      const [redis, pg] = [await TcpProxy.listen(this.primary.port), await TcpProxy.listen(Number(url.port))];
      const skewMs = Math.round(SKEW_MS * ((2 * i) / (roles.length - 1) - 1));
      const seat = { role, redis, postgres: pg, skewMs, starting: null };
      this.seats.push({ ...seat, process: await this.#startIn(seat) });
    }
  }

  #startIn({ role, redis, postgres: pg, skewMs }: Omit<Seat, "process">): Promise<WeirProcess> {
    const url = new URL(this.#databaseUrl);
    url.port = String(pg.port);
    const options = {
      role,
      databaseUrl: url.href,
      redisUrl: `redis://127.0.0.1:${redis.port}`,
      dataDir: this.#dataDir,
      adminKey: ADMIN_KEY,
    };
    return WeirProcess.start({ ...options, clock: Math.floor(this.now) + skewMs }, this.#log);
  }

  async #postgresAnswers(): Promise<void> {
    const deadline = monotonicMs() + POSTGRES_TIME_LIMIT_MS;
    while (
      !(await this.sql`select 1`.then(
        () => true,
        () => false,
      ))
    ) {
      if (monotonicMs() > deadline) throw new Error("Postgres does not come back");
      await sleep(50);
    }
  }
}

function connect(url: string): postgres.Sql {
  return postgres(url, { max: 2, connect_timeout: 5, onnotice: () => {}, types: { bigint: postgres.BigInt } });
}
