import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateSource } from "oazapfts";
import { tempDir } from "./temp-dir.ts";
import { ROOT, runTool, TOOLS, type ToolResult } from "./tools.ts";

/** What a program that uses the client is compiled with: as strict as TypeScript's own `strict`. */
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    noUncheckedIndexedAccess: true,
    erasableSyntaxOnly: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    target: "es2024",
    lib: ["es2024", "dom"],
    types: [],
    module: "nodenext",
  },
  files: ["program.ts"],
};

/** A typed client, generated from an OpenAPI document into a folder of its own. */
export interface GeneratedClient {
  /** Compiles a program that stands beside the client (`./weir.ts`). */
  compile(program: string): Promise<ToolResult>;
  remove(): void;
}

export async function generateClient(document: string): Promise<GeneratedClient> {
  const { path, remove } = tempDir("client");
  const openapi = join(path, "openapi.json");
  writeFileSync(openapi, document);
  writeFileSync(join(path, "weir.ts"), await generateSource(openapi));
  writeFileSync(join(path, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(path, "tsconfig.json"), JSON.stringify(TSCONFIG));
  symlinkSync(join(ROOT, "node_modules"), join(path, "node_modules"), "dir");
  return {
    compile: (program) => {
      writeFileSync(join(path, "program.ts"), program);
      return runTool(TOOLS.types, ["-p", path]);
    },
    remove,
  };
}
