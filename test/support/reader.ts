import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, chmodSync, constants, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { isPrinted, stepsOf, type Snippet } from "./snippets.ts";
import { tempDir } from "./temp-dir.ts";
import { ROOT, runTool, TOOLS } from "./tools.ts";

/** A block that takes longer stands still. */
const BLOCK_TIMEOUT_MS = 60_000;
/** What documents say, where a reader's Weir is. */
const DOCUMENTED = /(?:127\.0\.0\.1|localhost):8787/g;

/** What the programs of a document are compiled with. */
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    skipLibCheck: true,
    module: "nodenext",
    target: "es2024",
    lib: ["es2024", "dom"],
    types: ["node"],
  },
  include: ["*.ts"],
};

/** The Weir a reader has before the first block: its address, and the folder `npm start` keeps. */
export interface Ground {
  url: string;
  dataDir: string;
  /** Variables of the reader's shell. */
  env: Record<string, string>;
}

/**
 * Somebody who reads a document and does what it says, in a folder of its own that has Weir installed: one shell from the first block to the
 * last, files that are named, `node` for programs.
 */
export class Reader {
  readonly #ground: Ground;
  readonly #folder = tempDir("reader");
  /** Shells that ran, each the head of a process group: what it left running is in there. */
  readonly #shells: number[] = [];
  #programs = 0;

  constructor(ground: Ground) {
    this.#ground = ground;
    const { path } = this.#folder;
    symlinkSync(ground.dataDir, join(path, ".weir"), "dir");
    writeFileSync(join(path, "package.json"), JSON.stringify({ type: "module" }));
    mkdirSync(join(path, "node_modules/.bin"), { recursive: true });
    mkdirSync(join(path, "bin"));
    symlinkSync(ROOT, join(path, "node_modules/weir"), "dir");
    for (const name of ["@oazapfts", "@types"]) symlinkSync(join(ROOT, "node_modules", name), join(path, "node_modules", name), "dir");
    writeFileSync(join(path, "tsconfig.json"), JSON.stringify(TSCONFIG));
    // What npx does for a package that is installed, without npm's own second for each call.
    this.#script(
      "npx",
      `case "$1" in weir) shift; exec weir "$@";; oazapfts) shift; exec "${process.execPath}" "${ROOT}node_modules/oazapfts/dist/cli.js" "$@";; esac; exit 127`,
    );
    this.#script("weir", `exec "${process.execPath}" "${ROOT}bin/weir.cjs" "$@"`);
    if (!isOnPath("curl")) this.#script("curl", `exec "${process.execPath}" "${ROOT}test/support/curl.ts" "$@"`);
    this.#script("node", `exec "${process.execPath}" "$@"`);
  }

  #script(name: string, text: string): void {
    const file = join(this.#folder.path, "bin", name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
  }

  /** Does what a block says; answers what is wrong with it, or null. */
  async follow(snippet: Snippet): Promise<string | null> {
    const { language, text, prints, exit } = snippet;
    if (language === "json") return this.#keep(snippet, text);
    if (language === "ts") {
      const file = snippet.file ?? `program-${(this.#programs += 1)}.ts`;
      this.#write(file, text);
      return this.#judge(`node ${file}`, exit, prints);
    }
    if (language === "sh") return this.#judge(text, exit, prints);
    for (const step of stepsOf(text)) {
      const wrong = await this.#judge(step.typed, /^(?:error:|denied$)/m.test(step.prints) ? null : 0, step.prints);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  #keep({ file }: Snippet, text: string): string | null {
    try {
      JSON.parse(text);
    } catch (error) {
      return `is no JSON: ${String(error)}`;
    }
    if (file !== null) this.#write(file, text);
    return null;
  }

  #write(file: string, text: string): void {
    const path = join(this.#folder.path, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.#here(text));
  }

  /** `exit` null: any but 0. */
  async #judge(script: string, exit: number | null, prints: string | null): Promise<string | null> {
    const { code, output } = await this.#type(script);
    const shown = output.replaceAll(this.#ground.url.replace("http://", ""), "127.0.0.1:8787");
    if (exit === null ? code === 0 : code !== exit) return `${script.trim()}\nended with ${code}, not ${exit ?? "an error"}:\n${shown}`;
    if (prints !== null && !isPrinted(prints.replaceAll("localhost:8787", "127.0.0.1:8787"), shown))
      return `${script.trim()}\nprinted\n${shown}\nnot\n${prints}`;
    return null;
  }

  #here(text: string): string {
    return text.replaceAll(DOCUMENTED, this.#ground.url.replace("http://", ""));
  }

  /** In the shell as the block before left it: its variables and its folder. */
  async #type(script: string): Promise<{ code: number | null; output: string }> {
    const { path } = this.#folder;
    const state = join(path, ".shell");
    const whole = `if [ -f ${state} ]; then . ${state}; fi\nexec 2>&1\ntrap 'code=$?; export -p > ${state}; exit $code' EXIT\nset -e\n${this.#here(script)}\n`;
    const env = { ...this.#ground.env, PATH: `${join(path, "bin")}:${process.env["PATH"] ?? ""}`, HOME: path, NO_COLOR: "1" };
    const child = spawn("sh", ["-c", whole], {
      cwd: path,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: BLOCK_TIMEOUT_MS,
      detached: true,
    });
    this.#shells.push(child.pid ?? 0);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, output };
  }

  /** What TypeScript has against the programs that were kept; null where there are none, or nothing is wrong with them. */
  async compile(): Promise<string | null> {
    if (!readdirSync(this.#folder.path).some((name) => name.endsWith(".ts"))) return null;
    const { code, output } = await runTool(TOOLS.types, ["-p", this.#folder.path]);
    return code === 0 ? null : output;
  }

  leave(): void {
    for (const pid of this.#shells) {
      try {
        if (pid > 0) process.kill(-pid, "SIGKILL");
      } catch {
        // Nothing was left running.
      }
    }
    this.#folder.remove();
  }
}

const isOnPath = (name: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
