import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/tools.ts";

/**
 * The order of the house: a part imports only parts that stand before it. `src/engine.ts` and `src/config.ts` are parts of
 * one file.
 */
const ORDER = [
  "client",
  "kernel",
  "adapters",
  "config",
  "egress",
  "servers",
  "catalog",
  "rating",
  "stores",
  "audit",
  "accounts",
  "credits",
  "limits",
  "counters",
  "ledger",
  "gate",
  "usage",
  "invoices",
  "payments",
  "notifications",
  "doctor",
  "replay",
  "engine",
  "state",
  "jobs",
  "http",
  "cli",
] as const;

/** A package, and where alone it may be imported. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  ioredis: /^src\/(counters\/|stores\/redis(?:-[a-z]+)?\.ts$)/,
  kysely: /^src\/(stores\/|.*-store\.ts$)/,
  "kysely-postgres-js": /^src\/stores\//,
  postgres: /^src\/stores\//,
  fastify: /^src\/http\//,
  bullmq: /^jobs\//,
  pdfkit: /^src\/invoices\/pdf\.ts$/,
  "prom-client": /^src\/http\//,
  "@opentelemetry/api": /^(src\/http|jobs)\//,
  stripe: /^src\/payments\/stripe\.ts$/,
  nodemailer: /^src\/notifications\//,
  "ipaddr.js": /^src\/egress\//,
};

const LINES_MAX = 300;
/** Of an adapter; what is exported apart from it is not in it. */
const ADAPTER_LINES_MAX = 250;
const SEPARATE_EXPORTS = new Set(["src/adapters/restate/reconcile.ts"]);

/** Reads of time and chance, and what to use in their place. Timers are the exception: the files that bound a wait with one. */
const BANNED: readonly { call: RegExp; instead: string; allowed: RegExp }[] = [
  { call: /\bDate\.now\(/, instead: "a Clock or a `now` argument", allowed: /^src\/kernel\// },
  { call: /\bnew Date\(\s*\)/, instead: "a Clock or a `now` argument", allowed: /^src\/kernel\// },
  { call: /\bMath\.random\(/, instead: "kernel/ids.ts, or a seed", allowed: /^src\/(kernel|replay)\// },
  {
    call: /(?<![.\w])set(?:Timeout|Interval)\(/,
    instead: "sleep of kernel/clock.ts",
    allowed:
      /^(src\/((?:kernel|client)\/clock|dashboard\/clock|stores\/(redis|redis-cluster|redis-incarnation|database|bounded-calls)|state\/(waiting-line|state)|engine)|jobs\/worker)\.[jt]s$/,
  },
  {
    call: /\bengine\.db\b|\{[^}]*(?<!: )\bdb\b[^}]*\} = (?:this\.#)?engine\b/,
    instead: "engine.walled in http/",
    allowed: /^(?!src\/http\/)/,
  },
  { call: /\bfrom "node:timers/, instead: "sleep of kernel/clock.ts", allowed: /^src\/kernel\/clock\.ts$/ },
];

/** Written so that this file does not hold them itself. */
const UNFINISHED = new RegExp(
  ["TO", "DO|FIX", "ME|\\bXX", "X\\b|@ts-(?:ignore|nocheck|expect-error)|(?:eslint|ox", "lint)-disable|\\bas an", "y\\b"].join(""),
);
const UNCLEAR_NAME = /(?:^|[/.-])(?:utils?|helpers?|managers?|common|misc|v2)(?:[/.-]|$)/i;

const walk = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.name === "node_modules") return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const isCode = (file: string): boolean => /\.(?:ts|js|cjs|lua)$/.test(file);

const source = [...walk("src"), ...walk("jobs")];
const code = source.filter(isCode);
const everything = [...code, ...walk("test").filter(isCode), ...walk("sql"), ...walk("bin")];

/** The part of the house a file belongs to: its folder under src, "jobs", or its own name for a file directly in src. */
function partOf(file: string): string {
  const [top, second = ""] = file.split("/");
  return top === "src" ? basename(second, ".ts") : (top ?? "");
}

interface Import {
  file: string;
  /** A path from the root for a relative import, else the package's name. */
  target: string;
}

const imports: Import[] = code
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) =>
    [...read(file).matchAll(/^\s*(?:import|export)\b[^"';]*?\bfrom "([^"]+)"|\bimport\("([^"]+)"\)|^\s*import "([^"]+)"/gm)].map(
      (found) => {
        const target = found[1] ?? found[2] ?? found[3] ?? "";
        return { file, target: target.startsWith(".") ? relative(ROOT, join(ROOT, dirname(file), target)) : target };
      },
    ),
  );

test("the tidy test sees the imports", () => {
  expect(imports.length).toBeGreaterThan(100);
});

test("imports run downward only", () => {
  const rank = (part: string): number => ORDER.findIndex((name) => name === part);
  const wrong = imports
    .filter(({ target }) => /^(?:src|jobs|test)\//.test(target))
    .filter(({ file, target }) => {
      const [from, to] = [partOf(file), partOf(target)];
      if (from === to) return false;
      // A *-store.ts is its folder's SQL: it may open the stores, wherever the folder stands.
      if (to === "stores" && file.endsWith("-store.ts")) return false;
      return rank(to) === -1 || rank(from) === -1 || rank(to) > rank(from);
    });
  expect(wrong).toEqual([]);
});

test("nobody reaches into a folder inside another part", () => {
  const wrong = imports.filter(
    ({ file, target }) => target.startsWith("src/") && partOf(file) !== partOf(target) && target.split("/").length > 3,
  );
  expect(wrong).toEqual([]);
});

test("every exported function and class says what it is", () => {
  // What an action of the command line does is its help's to say.
  const own = code.filter((file) => file.endsWith(".ts") && !/^src\/cli\/(?:commands|state)\//.test(file));
  const bare = own.flatMap((file) =>
    [...read(file).matchAll(/(?<!\*\/\n)^export (?:async )?(?:function|class) (\w+)/gm)].map(([, name = ""]) => `${file}: ${name}`),
  );
  expect(bare).toEqual([]);
});

test("what is exported is used elsewhere", () => {
  const files = [...code, ...walk("test").filter(isCode), ...walk("examples").filter(isCode), ...walk("bin")];
  const words = new Map<string, Set<string>>();
  for (const file of files) {
    for (const [word] of read(file).matchAll(/[A-Za-z_]\w+/g)) words.set(word, (words.get(word) ?? new Set()).add(file));
  }
  const own = [...code, ...walk("test/support").filter(isCode)].filter((file) => file.endsWith(".ts"));
  const unused = own.flatMap((file) =>
    [...read(file).matchAll(/^export (?:async )?(?:function\*?|const|class) (\w+)/gm)]
      .map(([, name = ""]) => name)
      .filter((name) => words.get(name)?.size === 1)
      .map((name) => `${file}: ${name}`),
  );
  expect(unused).toEqual([]);
});

test.each(Object.entries(PACKAGES))("%s is imported where it belongs only", (name, allowed) => {
  const users = imports.filter(({ target }) => target === name || target.startsWith(`${name}/`));
  expect(users.filter(({ file }) => !allowed.test(file))).toEqual([]);
});

test.each(BANNED)("nothing calls $call; there is $instead", ({ call, allowed }) => {
  const wrong = code.filter((file) => !allowed.test(file)).flatMap((file) => matchingLines(file, call));
  expect(wrong).toEqual([]);
});

test("nothing is left unfinished, silenced or cast away", () => {
  expect(everything.flatMap((file) => matchingLines(file, UNFINISHED))).toEqual([]);
});

test("no file is named after nothing", () => {
  expect(everything.filter((file) => UNCLEAR_NAME.test(file))).toEqual([]);
});

test(`no file is longer than ${LINES_MAX} lines`, () => {
  const long = [...code, ...walk("bin")].map((file) => ({ file, lines: read(file).trimEnd().split("\n").length }));
  expect(long.filter(({ lines }) => lines > LINES_MAX)).toEqual([]);
});

test(`no adapter has more than ${ADAPTER_LINES_MAX} lines of code of its own`, () => {
  const isCodeLine = (line: string): boolean => !/^\s*(?:\/\/|\/?\*|$)/.test(line);
  const own = source.filter((file) => /^src\/adapters\/\w+\/.*\.ts$/.test(file) && !SEPARATE_EXPORTS.has(file));
  const lines = Map.groupBy(own, (file) => file.split("/")[2]);
  const counts = [...lines].map(([adapter, files]) => ({
    adapter,
    lines: files.flatMap((f) => read(f).split("\n").filter(isCodeLine)).length,
  }));
  expect(counts.map(({ adapter }) => adapter)).toEqual(["iii", "restate", "rivet"]);
  expect(counts.filter((one) => one.lines > ADAPTER_LINES_MAX)).toEqual([]);
});

/** Each folder of test/integration has the name of the part it looks at, and one README speaks for them. */
const SPOKEN_FOR = /^test\/integration\/(?!isolation$)([a-z]+)$/;

test("every folder opens with a README; those of the code say what they own", () => {
  const files = ["src", "jobs", "sql", "test", "docs", "deploy", "examples", "bin"].flatMap(walk);
  const bare = [...new Set(files.map(dirname))].filter((folder) => {
    const part = SPOKEN_FOR.exec(folder)?.[1];
    if (part !== undefined) return !existsSync(join(ROOT, "src", part));
    return !existsSync(join(ROOT, folder, "README.md"));
  });
  expect(bare).toEqual([]);
  const readmes = [...source, ...walk("sql")].filter((file) => basename(file) === "README.md");
  // An adapter's is for those who use it.
  const ours = readmes.filter((file) => !/^src\/adapters\/\w+\//.test(file));
  expect(ours.filter((file) => !read(file).includes("**Owns**"))).toEqual([]);
});

test("every Lua script says its keys, its arguments and its answer; a part that scripts share says what it is", () => {
  const wrong = source
    .filter((file) => file.endsWith(".lua"))
    .filter((file) => {
      const header = (/^(?:--.*\n)+/.exec(read(file)) ?? [""])[0];
      const wanted = /\b(?:KEYS|ARGV)\[/.test(read(file)) ? ["-- KEYS", "-- ARGV", "-- Answers"] : ["-- "];
      return !wanted.every((part) => header.includes(part));
    });
  expect(wrong).toEqual([]);
});

test("every SQL file says first what it is", () => {
  expect(walk("sql").filter((file) => file.endsWith(".sql") && !/^--\s\S/.test(read(file)))).toEqual([]);
});

function matchingLines(file: string, pattern: RegExp): string[] {
  return read(file)
    .split("\n")
    .flatMap((line, index) => (!/^\s*(?:\/\/|\*|\/\*)/.test(line) && pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : []));
}
