import { sql } from "kysely";
import { expect, test } from "vitest";
import { ensurePartitions } from "../../../src/ledger/ledger-store.ts";
import { openPostgres } from "../../../src/stores/database.ts";
import { createTestStack } from "../../support/stack.ts";

test("a month gets its partition in each database of a process", async () => {
  for (let databases = 0; databases < 2; databases++) {
    const stack = await createTestStack();
    const postgres = openPostgres(stack.databaseUrl);
    try {
      await ensurePartitions(postgres.db, [Date.parse("2031-07-15T00:00:00.000Z")]);
      const { rows } = await sql<{ found: boolean }>`select to_regclass('usage_buckets_203107') is not null as found`.execute(postgres.db);
      expect(rows).toEqual([{ found: true }]);
    } finally {
      await postgres.close();
      await stack.stop();
    }
  }
});
