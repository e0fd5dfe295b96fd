import { afterAll, beforeAll, describe, expect, it } from "vitest";
import postgres from "postgres";
import { createTestStack, type TestStack } from "../support/stack.ts";

describe("a test stack", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await createTestStack();
  });
  afterAll(() => stack.stop());
  it("works", async () => {
    const sql = postgres(stack.databaseUrl);
    expect((await sql`select 1 as x`)[0]?.["x"]).toBe(1);
    await sql.end();
    console.log(stack);
  });
});
