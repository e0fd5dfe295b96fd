import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/tools.ts";

/** What the repository holds of its own, from its root. */
const files = ["src", "jobs", "sql", "test", "docs", "deploy", "examples", "bin"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((path) => `${folder}/${path}`)
    .filter((path) => !path.includes("node_modules/")),
);
const pages = ["README.md", "CONTRIBUTING.md", ...files.filter((file) => file.endsWith(".md"))];
const text = (page: string): string => readFileSync(join(ROOT, page), "utf8");

/** What Weir makes as it runs, and what it serves. */
const MADE = new Set([".weir/credentials.json", "credentials.json", "/openapi.json"]);

test("a page names only files that are there", () => {
  const names = new Set(files.map((file) => basename(file)));
  const wrong = pages.flatMap((page) =>
    [...text(page).matchAll(/`([\w./-]+\.(?:ts|js|cjs|lua|sql|md|json|yaml|ini))`/g)]
      .map(([, name = ""]) => name)
      .filter((name) => !MADE.has(name) && !names.has(basename(name)))
      .map((name) => `${page}: ${name}`),
  );
  expect(wrong).toEqual([]);
});

test("a link leads to a page that is there", () => {
  const wrong = pages.flatMap((page) =>
    [...text(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  );
  expect(wrong).toEqual([]);
});

test("every page of docs is reached from docs/README.md", () => {
  const reached = new Set(["docs/README.md"]);
  for (const page of reached) {
    for (const [, target = ""] of text(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      const path = normalize(join(dirname(page), target));
      if (path.endsWith(".md")) reached.add(path);
      else if (existsSync(join(ROOT, path, "README.md"))) reached.add(join(path, "README.md"));
    }
  }
  expect(pages.filter((page) => page.startsWith("docs/") && !reached.has(page))).toEqual([]);
});
