import type { ParameterOrJSON, Row, RowList, Sql } from "postgres";
import type { Caller } from "../kernel/caller.ts";
import { sleep } from "../kernel/clock.ts";
import { unavailable } from "../kernel/errors.ts";
import { iso } from "../kernel/window.ts";

export type Client = Sql<{ bigint: bigint }>;
type Rows = RowList<Row[]>;
/** Opens one connection, lazily, that is used for one statement at a time. `onclose` is called when it is lost. */
export type Connect = (onclose: () => void) => Client;

/** Whom tenants' statements run as (sql/migrations/0025). */
export const TENANT_ROLE = "weir_tenant";

/** Statements in line for a session; more would only wait longer than their callers do. */
const WAITING_MAX = 1_000;
/** A session that is silent for so long is given up; the server ends a statement before. */
const SILENT_MS = 12_000;
/** Nobody is named on this connection: the driver has connected anew since. Of the audit log, and of the wall. */
const UNNAMED = new Set(["WE001", "42704"]);

interface Session {
  client: Client;
  /** On whose behalf the server believes to work; null when that is not known. */
  named: string | null;
}

/**
 * Connections whose server knows on whose behalf each statement runs: by `weir.account` the wall lets rows pass (sql/migrations/0025), by
 * `weir.caller` the audit log tells who asked (0024). A statement has a session to itself from the naming to its end. Where the connection is
 * lost in between and the driver opens another, nobody is named on that one: Postgres refuses the statement, instead of running it for
 * whoever came before.
 */
export class Sessions {
  readonly #connect: Connect;
  readonly #idle: Session[];
  readonly #waiting: ((session: Session) => void)[] = [];

  constructor(size: number, connect: Connect) {
    this.#connect = connect;
    this.#idle = Array.from({ length: size }, () => this.#renewed({ named: null }));
  }

  /** Runs one statement on the caller's behalf. */
  async run(caller: Caller, sql: string, parameters: readonly unknown[]): Promise<Rows> {
    const name = nameOf(caller);
    const session = await this.#take(name);
    try {
      return await this.#attempt(session, name, sql, parameters).catch((error: unknown) => {
        if (!isUnnamed(error)) throw error;
        // Refused as a whole, so it may be sent again.
        session.named = null;
        return this.#attempt(session, name, sql, parameters);
      });
    } finally {
      const next = this.#waiting.shift();
      if (next) next(session);
      else this.#idle.push(session);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.map(({ client }) => client.end({ timeout: 2 })));
  }

  /** One that knows the caller, where there is one: it need not be told again. */
  #take(name: string): Promise<Session> {
    const known = this.#idle.findIndex((session) => session.named === name);
    const [session] = known === -1 ? this.#idle.splice(0, 1) : this.#idle.splice(known, 1);
    if (session) return Promise.resolve(session);
    if (this.#waiting.length >= WAITING_MAX) return Promise.reject(unavailable("Postgres"));
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #attempt(session: Session, name: string, sql: string, parameters: readonly unknown[]): Promise<Rows> {
    if (session.named !== name) {
      session.named = null;
      const [account = "", words = ""] = name.split("\n");
      await this.#send(session, "select set_config('weir.account', $1, false), set_config('weir.caller', $2, false)", [account, words]);
      session.named = name;
    }
    return this.#send(session, sql, parameters);
  }

  async #send(session: Session, sql: string, parameters: readonly unknown[]): Promise<Rows> {
    const timer = new AbortController();
    const answered = session.client.unsafe(sql, parameters as ParameterOrJSON<bigint>[], { prepare: true });
    const silent = sleep(SILENT_MS, timer.signal).then((): Promise<Rows> => {
      if (timer.signal.aborted) return answered;
      void session.client.end({ timeout: 0 }).catch(() => {});
      this.#renewed(session);
      throw unavailable("Postgres");
    });
    silent.catch(() => {});
    return Promise.race([answered, silent]).finally(() => timer.abort());
  }

  #renewed(session: Pick<Session, "named">): Session {
    return Object.assign(session, { named: null, client: this.#connect(() => (session.named = null)) });
  }
}

/** What the server is told, as one text. A caller who only reads is told apart by account alone: the next request finds it named already. */
function nameOf({ account, actor, scope, operation, changes, at }: Caller): string {
  return `${account ?? ""}\n${changes ? JSON.stringify({ actor, scope, operation, at: iso(at) }) : ""}`;
}

const isUnnamed = (error: unknown): boolean =>
  error instanceof Error && "code" in error && UNNAMED.has(String(error.code)) && /weir\.account|nobody is named/.test(error.message);
