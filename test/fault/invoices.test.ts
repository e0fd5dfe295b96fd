import postgres from "postgres";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { killedRuns } from "../billing/killed-runs.ts";
import { seed } from "../billing/seed.ts";
import { createTestStack, type TestStack } from "../support/stack.ts";

const ACCOUNTS = 60;

let stack: TestStack;
beforeAll(async () => {
  stack = await createTestStack();
  await seed(stack.databaseUrl, { accounts: ACCOUNTS, hours: 6, days: 87, varied: true });
});
afterAll(async () => {
  const sql = postgres(inject("servers").postgresUrl, { max: 1, onnotice: () => {} });
  await sql.unsafe(`drop database if exists ${nameOf(stack)}_copy with (force)`);
  await sql.end();
  await stack.stop();
});

const nameOf = ({ databaseUrl }: TestStack): string => new URL(databaseUrl).pathname.slice(1);

it("three processes at once, killed at random and replaced, make the invoices that one makes undisturbed", async () => {
  const { kills, undisturbed, disturbed } = await killedRuns(inject("servers").postgresUrl, nameOf(stack), {
    kills: 6,
    seed: 1,
    atOnce: 20,
  });
  expect(kills).toBeGreaterThan(0);
  expect(undisturbed.invoices).toBeGreaterThan(ACCOUNTS * 2);
  expect(disturbed).toEqual(undisturbed);
  expect(disturbed).toMatchObject({ wrongNumbers: 0, untold: 0 });
}, 120_000);
