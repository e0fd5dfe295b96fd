import { afterAll, beforeAll, expect, test } from "vitest";
import { applyCatalog, loadCatalog } from "../../src/catalog/catalog-store.ts";
import { diffCatalogs } from "../../src/catalog/diff.ts";
import { defaultCatalog, mergeCatalog } from "../../src/catalog/parse.ts";
import type { Postgres } from "../../src/stores/database.ts";
import { openPostgres } from "../../src/stores/database.ts";
import type { TestStack } from "../support/stack.ts";
import { createTestStack } from "../support/stack.ts";

const NOW = Date.parse("2026-11-21T12:00:00.000Z");
const shipped = defaultCatalog();
const dearer = mergeCatalog(shipped, {
  operations: { put: { usage: { state_requests: 2, state_sqlite_rows_written: { fact: "rows" } } } },
});

let stack: TestStack;
let postgres: Postgres;

beforeAll(async () => {
  stack = await createTestStack();
  postgres = openPostgres(stack.databaseUrl);
});

afterAll(async () => {
  await postgres.close();
  await stack.stop();
});

test("versions are appended when, and only when, the document differs", async () => {
  const { db } = postgres;
  expect(await loadCatalog(db)).toBeNull();

  const first = await applyCatalog(db, shipped, NOW);
  expect(first).toMatchObject({ version: 1, applied: true, appliedAt: NOW });
  expect(await applyCatalog(db, shipped, NOW + 1)).toMatchObject({ version: 1, applied: false, appliedAt: NOW });

  const loaded = await loadCatalog(db);
  expect(loaded).toMatchObject({ version: 1, sha256: first.sha256, appliedAt: NOW });
  expect(diffCatalogs(shipped, loaded?.catalog ?? dearer)).toEqual([]);
  expect(loaded?.catalog).toEqual(shipped);

  const second = await applyCatalog(db, dearer, NOW + 2);
  expect(second.applied).toBe(true);
  expect((await loadCatalog(db))?.catalog.operations["put"]?.usage["state_requests"]).toBe(2);

  // Back to the first document: a third version, not the first one again.
  const third = await applyCatalog(db, shipped, NOW + 3);
  expect(third.applied).toBe(true);
  expect(third.version).toBeGreaterThan(second.version);
  expect(third.sha256).not.toBe(first.sha256);
  expect((await loadCatalog(db))?.catalog).toEqual(shipped);

  // jsonb, not a JSON string inside jsonb.
  const [row] = await db.selectFrom("catalog_versions").select("document").where("version", "=", 1n).execute();
  expect(row?.document).toMatchObject({ currency: "USD" });
});

test("processes that start together apply one version", async () => {
  const { db } = postgres;
  const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => applyCatalog(db, dearer, NOW + 10 + i)));
  expect(outcomes.filter((o) => o.applied)).toHaveLength(1);
  expect(new Set(outcomes.map((o) => o.version)).size).toBe(1);
});
