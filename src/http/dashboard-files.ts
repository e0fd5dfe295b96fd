import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { linkModules } from "./link-modules.ts";

/** One file as it is sent. */
export interface ServedFile {
  type: string;
  body: Buffer;
  gzipped: Buffer;
}

export interface DashboardFiles {
  /** The page that loads the rest. */
  page: ServedFile & { etag: string };
  /** By path under `/assets/<version>/`. */
  files: ReadonlyMap<string, ServedFile>;
  /** Of all that is served: another text anywhere is another address, so every file may be cached for good. */
  version: string;
}

const FOLDER = fileURLToPath(new URL("../dashboard/", import.meta.url));
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const VERSION_LENGTH = 16;
/** In the order they are read: later ones win. */
const STYLES = ["styles/tokens.css", "styles/base.css", "styles/shell.css", "styles/parts.css", "styles/views.css"];

/** The libraries, from their packages as they were published; `import` names what the dashboard's modules call them. */
const LIBRARIES: readonly { as: string; import: string; package: string; file: string; append?: string }[] = [
  { as: "vendor/preact.js", import: "preact", package: "preact", file: "dist/preact.mjs" },
  { as: "vendor/hooks.js", import: "preact/hooks", package: "preact", file: "hooks/dist/hooks.mjs" },
  { as: "vendor/htm.js", import: "htm", package: "htm", file: "dist/htm.mjs" },
  // Only the classic script is published minified: one line more makes a module of it.
  { as: "vendor/uplot.js", import: "uplot", package: "uplot", file: "dist/uPlot.iife.min.js", append: "\nexport default uPlot;\n" },
];

/** Reads, links and compresses everything the dashboard is made of: about 60 kB, kept in memory. */
export async function readDashboard(): Promise<DashboardFiles> {
  const texts = new Map<string, string>();
  for (const library of LIBRARIES) texts.set(library.as, withoutMap(await readLibrary(library)) + (library.append ?? ""));
  const own = await readOwn();
  const modules = new Map([...own].filter(([name]) => name.endsWith(".js")));
  const styles = STYLES.map((name) => own.get(name) ?? "").join("\n");
  texts.set("main.js", linkModules(modules, "main.js")).set("main.css", styles.replace(/\/\*[^]*?\*\/|\n\s*/g, "\n"));
  texts.set("icon.svg", own.get("icon.svg") ?? "");
  const template = own.get("index.html") ?? "";
  const version = hashOf([template, ...[...texts].flat()].join("\0")).slice(0, VERSION_LENGTH);
  const base = `/assets/${version}/`;
  const files = new Map<string, ServedFile>();
  for (const [name, text] of texts) files.set(name, await served(linked(text, base), TYPES[extname(name)] ?? ""));
  const page = await served(template.replaceAll("{{assets}}", base), TYPES[".html"] ?? "");
  return { page: { ...page, etag: `"${version}"` }, files, version };
}

async function readOwn(): Promise<Map<string, string>> {
  const names = (await readdir(FOLDER, { recursive: true })).filter((name) => extname(name) in TYPES);
  const texts = await Promise.all(names.map((name) => readFile(join(FOLDER, name), "utf8")));
  return new Map(names.map((name, i) => [name.replaceAll("\\", "/"), texts[i] ?? ""]));
}

async function readLibrary(library: { package: string; file: string }): Promise<string> {
  // By its main file: not every package lets its package.json be asked for.
  let folder = dirname(createRequire(import.meta.url).resolve(library.package));
  while (basename(dirname(folder)) !== "node_modules") folder = dirname(folder);
  return readFile(join(folder, library.file), "utf8");
}

/** Browsers know no package names: each becomes the address of its file. */
function linked(text: string, base: string): string {
  return text.replace(/(\bfrom ?|\bimport\()"([a-z/]+)"/g, (whole, before: string, name: string) => {
    const library = LIBRARIES.find((known) => known.import === name);
    return library ? `${before}"${base}${library.as}"` : whole;
  });
}

/** Source maps are not served: a browser's tools would ask for them in vain. */
const withoutMap = (text: string): string => text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

async function served(text: string, type: string): Promise<ServedFile> {
  const body = Buffer.from(text);
  return { type, body, gzipped: await promisify(gzip)(body, { level: 9 }) };
}
