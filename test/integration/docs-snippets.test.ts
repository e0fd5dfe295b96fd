import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Reader } from "../support/reader.ts";
import { snippetsOf } from "../support/snippets.ts";
import { ROOT } from "../support/tools.ts";
import { startWeir } from "./cli/weir.ts";

/** Written from the program, and held to it by a test of their own (cli-reference.test.ts). */
const GENERATED = new Set(["docs/cli.md", "docs/errors.md"]);
/** Blocks that say why they are not run: what starts a server, or needs more machines than one. */
const NOT_RUN_MAX = 8;

const inFolder = (folder: string): string[] =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${folder}/${name}`);
const documents = ["README.md", ...inFolder("docs"), ...inFolder("docs/how-to"), ...inFolder("docs/decisions")]
  .filter((file) => !GENERATED.has(file))
  .map((file) => ({ file, snippets: snippetsOf(readFileSync(join(ROOT, file), "utf8")) }));
const runnable = documents.filter(({ snippets }) => snippets.some(({ notRun }) => notRun === null));

it("nearly every block of the documents is run", () => {
  const notRun = documents.flatMap(({ file, snippets }) =>
    snippets.filter((s) => s.notRun !== null).map((s) => `${file}:${s.line} ${s.notRun ?? ""}`),
  );
  expect(notRun.length, notRun.join("\n")).toBeLessThanOrEqual(NOT_RUN_MAX);
  expect(runnable.length).toBeGreaterThanOrEqual(8);
});

it("the index names every page", () => {
  const index = readFileSync(join(ROOT, "docs/README.md"), "utf8");
  const pages = [...inFolder("docs"), ...inFolder("docs/how-to")].map((file) => file.replace("docs/", ""));
  expect(pages.filter((page) => page !== "README.md" && !index.includes(`(${page})`))).toEqual([]);
});

describe("who does what the document says sees what it shows:", () => {
  it.each(runnable)("$file", async ({ file, snippets }) => {
    // A receiver of webhooks and alarms in a document is on the reader's own machine.
    const weir = await startWeir({ WEIR_WEBHOOK_ALLOW_PRIVATE: "1" });
    const reader = new Reader(weir);
    try {
      for (const snippet of snippets.filter(({ notRun }) => notRun === null)) {
        const wrong = await reader.follow(snippet);
        if (wrong !== null) throw new Error(`${file}:${snippet.line}: ${wrong}`);
      }
      expect(await reader.compile()).toBeNull();
    } finally {
      reader.leave();
      await weir.stop();
    }
  });
});
