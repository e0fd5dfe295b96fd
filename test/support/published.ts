import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, runTool, TOOLS } from "./tools.ts";

/** What is taken as it is, beside the sources that are compiled. */
const TAKEN = ["bin", "sql", "README.md", "CHANGELOG.md", "LICENSE"];
/** Folders of the sources. */
const COMPILED = ["src", "jobs"];

/**
 * Makes the package that is published, in the empty `folder`: the same tree, with JavaScript and its types for TypeScript, since Node strips
 * no types below node_modules. Throws with what the compiler said.
 */
export async function buildPackage(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of TAKEN) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  for (const name of COMPILED) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true, filter: (source) => !source.endsWith(".ts") });
  }
  await compile(folder);
  const manifest = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as Record<string, unknown>;
  await writeFile(join(folder, "package.json"), `${JSON.stringify(published(manifest), null, 2)}\n`);
}

async function compile(folder: string): Promise<void> {
  // Beside the checkout's own settings, so that its paths hold; gone when the compiler is.
  const settings = join(ROOT, `tsconfig.package-${process.pid}.json`);
  const compilerOptions = { noEmit: false, outDir: folder, rootDir: ".", declaration: true };
  await writeFile(settings, JSON.stringify({ extends: "./tsconfig.json", compilerOptions, include: COMPILED, exclude: ["src/dashboard"] }));
  try {
    const { code, output } = await runTool(TOOLS.types, ["-p", settings]);
    if (code !== 0) throw new Error(output);
  } finally {
    await rm(settings);
  }
}

/** The manifest without what only a checkout needs; what it exports is compiled. */
function published({ scripts: _scripts, devDependencies: _tools, private: _private, ...manifest }: Record<string, unknown>) {
  const exported = Object.entries(manifest["exports"] as Record<string, string>).map(([name, file]) => [
    name,
    { types: file.replace(/\.ts$/, ".d.ts"), default: file.replace(/\.ts$/, ".js") },
  ]);
  return { ...manifest, exports: Object.fromEntries(exported) as unknown };
}
