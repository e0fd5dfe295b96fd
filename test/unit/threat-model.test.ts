import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/tools.ts";

const page = readFileSync(join(ROOT, "docs/threat-model.md"), "utf8");
/** Rows that say what shows it. */
const rows = page.split("\n").filter((line) => line.startsWith("|") && /`(?:unit|integration|fuzz|model|protocol|fault)\b/.test(line));

/** The text of a test file, or of all test files of a folder. */
function textOf(name: string): string {
  const path = join(ROOT, "test", name);
  if (existsSync(`${path}.test.ts`)) return readFileSync(`${path}.test.ts`, "utf8");
  if (!existsSync(path) || !statSync(path).isDirectory()) throw new Error(`test/${name} is not there`);
  const files = readdirSync(path).filter((file) => file.endsWith(".test.ts"));
  return files.map((file) => readFileSync(join(path, file), "utf8")).join("\n");
}

test("what the threat model says is shown by a test is a test that is there", () => {
  expect(rows.length).toBeGreaterThan(15);
  const missing = rows.flatMap((row) => {
    const text = [...row.matchAll(/`((?:unit|integration|fuzz|model|protocol|fault)[\w/-]*)`/g)]
      .map(([, name = ""]) => textOf(name))
      .join("\n");
    return [...row.matchAll(/\*([^*]+)\*/g)].flatMap(([, title = ""]) => (text.includes(title) ? [] : [title]));
  });
  expect(missing).toEqual([]);
});
