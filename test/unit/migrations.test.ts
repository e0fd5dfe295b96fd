import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/tools.ts";

const FOLDER = join(ROOT, "sql/migrations");
/** Nobody ran a release before this one. */
const FIRST_RELEASE = "0013";

/**
 * What the release before would trip over while both run (deploy/README.md). It is allowed in a file that says which release no longer
 * needs what goes: `-- After: <release>`.
 */
const BREAKING = [
  /\bdrop\s+(?:table|column|view)\b/i,
  /\brename\s+(?:to|column)\b/i,
  /\balter\s+column\s+\w+\s+(?:set\s+data\s+)?type\b/i,
  /\balter\s+column\s+\w+\s+set\s+not\s+null\b/i,
  /\badd\s+column\s+(?!.*\bdefault\b)(?!.*\bgenerated\b).*\bnot\s+null\b/i,
];

const migrations = readdirSync(FOLDER).filter((file) => file.endsWith(".sql"));
const faultsOf = (text: string): string[] =>
  /^-- After: \S/m.test(text)
    ? []
    : text
        .split("\n")
        .filter((line) => !line.trimStart().startsWith("--"))
        .filter((line) => BREAKING.some((pattern) => pattern.test(line)));

test("migrations are numbered, each number once", () => {
  const numbers = migrations.map((file) => /^(\d{4})_[a-z0-9-_]+\.sql$/.exec(file)?.[1]);
  expect(numbers).not.toContain(undefined);
  expect(new Set(numbers).size).toBe(numbers.length);
});

test.each(migrations.filter((file) => file >= FIRST_RELEASE))("%s leaves the release before able to work", (file) => {
  expect(faultsOf(readFileSync(join(FOLDER, file), "utf8"))).toEqual([]);
});

test.each([
  ["drop table caps;", 1],
  ["alter table caps rename column a to b;", 1],
  ["alter table caps alter column a type bigint;", 1],
  ["alter table caps add column a text not null;", 1],
  ["alter table caps add column a text not null default '';", 0],
  ["alter table caps add column a text;", 0],
  ["-- drop table caps;", 0],
  ["-- After: 0.2.0\ndrop table caps;", 0],
])("%s", (text, faults) => {
  expect(faultsOf(text)).toHaveLength(faults);
});
