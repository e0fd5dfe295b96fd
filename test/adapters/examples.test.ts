import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ADMIN_KEY } from "../support/app.ts";
import { openWeir, type Weir } from "./support/weir.ts";

let weir: Weir;
beforeAll(async () => {
  weir = await openWeir();
});
afterAll(() => weir.stop());

const run = promisify(execFile);

test.each(["restate", "rivet", "iii"])("the example of %s writes until its account's cap stops it", async (name) => {
  const env = { ...process.env, WEIR_URL: weir.url, WEIR_KEY: ADMIN_KEY };
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, "example.ts"), name], { env });
  expect(stdout.match(/^add: 200 /gm)).toHaveLength(3);
  expect(stdout).toMatch(/^add: 429 .*limit_exceeded: state_sqlite_rows_written/m);
  expect(stdout).toMatch(/^value: 3$/m);
  expect(stdout).toMatch(/^state_sqlite_rows_written 3$/m);
});
