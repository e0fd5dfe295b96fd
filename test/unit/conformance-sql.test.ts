/*
 * The vectors of SQL statements, held against SQLite itself: what a data plane can measure from outside are the rows a statement gives
 * back and the change of total_changes().
 */
import { DatabaseSync } from "node:sqlite";
import { test } from "vitest";
import { checkVector, vectorsFor, type Subject } from "../conformance/run.ts";

function sqliteSubject(): Subject {
  const database = new DatabaseSync(":memory:");
  const counted: Record<string, number> = { state_requests: 0, state_sqlite_rows_read: 0, state_sqlite_rows_written: 0 };
  const caps: Record<string, number> = {};
  const changes = (): number => Number(database.prepare("select total_changes() as n").get()?.["n"]);
  const fits = (usage: Record<string, number>): boolean =>
    Object.entries(usage).every(([meter, n]) => (counted[meter] ?? 0) + n <= (caps[meter] ?? Infinity));
  return {
    counted: async () => ({ ...counted }),
    cap: async (meter, value) => void (caps[meter] = value),
    holds: async () => null,
    perform: async (step) => {
      if (step.do !== "sql") throw new Error(`no ${step.do}`);
      const before = changes();
      database.exec("begin");
      const rows = database.prepare(step.statement).all();
      const usage = { state_requests: 1, state_sqlite_rows_read: rows.length, state_sqlite_rows_written: changes() - before };
      if (!fits(usage)) {
        database.exec("rollback");
        return "denied";
      }
      database.exec("commit");
      for (const [meter, n] of Object.entries(usage)) counted[meter] = (counted[meter] ?? 0) + n;
      return "ok";
    },
    close: async () => database.close(),
  };
}

test.each(vectorsFor(["sql"]))("SQLite counts %s", async (_, vector) => {
  await checkVector(vector, sqliteSubject());
});
