import { Kysely, type CompiledQuery, type DatabaseConnection, type Dialect, type QueryResult } from "kysely";
import postgres from "postgres";
import { ARRAY_TYPES } from "../../src/stores/array-types.ts";
import type { Db } from "../../src/stores/database.ts";
import { postgresDialect } from "../../src/stores/postgres-dialect.ts";

/** Where a process is killed: before or after its `call`th call to a store (from 1). Both stores are remote, so what it did stays. */
export interface Death {
  call: number;
  when: "before" | "after";
}

/** Counts a process' calls to its stores, and ends it at one of them: nothing it does after that reaches a store. */
export class Lifetime {
  calls = 0;
  readonly #death: Death | null;
  #dead = false;

  constructor(death: Death | null) {
    this.#death = death;
  }

  async call<T>(send: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Error("killed");
    this.calls += 1;
    const dies = this.calls === this.#death?.call;
    if (dies && this.#death?.when === "before") this.#die();
    const answer = await send();
    if (dies) this.#die();
    if (this.#dead) throw new Error("killed");
    return answer;
  }

  #die(): never {
    this.#dead = true;
    throw new Error("killed");
  }
}

/** A database whose statements are calls of `lifetime`. */
export function dyingDb(url: string, lifetime: Lifetime): { db: Db; close(): Promise<void> } {
  const client = postgres(url, { max: 2, fetch_types: false, types: { bigint: postgres.BigInt, ...ARRAY_TYPES }, onnotice: () => {} });
  const inner = postgresDialect(client);
  const dialect: Dialect = {
    ...inner,
    createDriver: () => {
      const driver = inner.createDriver();
      return {
        init: () => driver.init(),
        acquireConnection: async () => dying(await driver.acquireConnection(), lifetime),
        releaseConnection: () => Promise.resolve(),
        beginTransaction: (connection, settings) => driver.beginTransaction(connection, settings),
        commitTransaction: (connection) => driver.commitTransaction(connection),
        rollbackTransaction: (connection) => driver.rollbackTransaction(connection),
        destroy: () => driver.destroy(),
      };
    },
  };
  return { db: new Kysely({ dialect }), close: () => client.end({ timeout: 2 }) };
}

function dying(connection: DatabaseConnection, lifetime: Lifetime): DatabaseConnection {
  return {
    executeQuery: <Row>(query: CompiledQuery): Promise<QueryResult<Row>> => lifetime.call(() => connection.executeQuery<Row>(query, {} as never)),
    streamQuery: () => {
      throw new Error("Nothing streams.");
    },
  };
}
