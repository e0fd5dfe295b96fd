import { readFile, writeFile } from "node:fs/promises";
import { cliReference } from "./cli-reference.ts";
import { decisionIndex } from "./decision-index.ts";
import { errorReference } from "./error-reference.ts";
import { completeLockfile } from "./lockfile.ts";
import { openApiText } from "./openapi.ts";

/** A file of the repository that is made from others, checked in, and proved current by `npm test`. */
interface Generated {
  /** From the repository's root. */
  file: string;
  /** What the file must hold; `present` is what it holds now ("" where there is none). */
  make(present: string): Promise<string> | string;
}

const GENERATED: readonly Generated[] = [
  { file: "package-lock.json", make: completeLockfile },
  { file: "test/adapters/package-lock.json", make: completeLockfile },
  { file: "docs/openapi.json", make: openApiText },
  { file: "docs/cli.md", make: cliReference },
  { file: "docs/errors.md", make: errorReference },
  { file: "docs/decisions/README.md", make: decisionIndex },
];

const ROOT = new URL("../../", import.meta.url);

/** Names the files that are not what they are made from; with `write`, brings them up to date. */
export async function staleFiles(options: { write: boolean }): Promise<string[]> {
  const stale: string[] = [];
  for (const entry of GENERATED) {
    const { file } = entry;
    const url = new URL(file, ROOT);
    const present = await readFile(url, "utf8").catch(() => "");
    const wanted = await entry.make(present);
    if (wanted === present) continue;
    stale.push(file);
    if (options.write) await writeFile(url, wanted);
  }
  return stale;
}
