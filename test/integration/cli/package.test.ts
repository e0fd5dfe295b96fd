import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPackage } from "../../support/published.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { ROOT, TOOLS } from "../../support/tools.ts";

const BUILD_MS = 120_000;

/** A project that has the package in its node_modules, and nothing of a checkout. */
const dir = tempDir("package");
const modules = join(dir.path, "node_modules");
beforeAll(() => buildPackage(join(modules, "weir")), BUILD_MS);
afterAll(() => dir.remove());

function node(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, args, { cwd: dir.path, encoding: "utf8" });
}

describe("the package that is published", () => {
  it("has the client for whoever installed nothing else", () => {
    writeFileSync(join(dir.path, "plane.mjs"), `import { createMeter } from "weir/client";\nconsole.log(typeof createMeter);\n`);
    expect(node("plane.mjs")).toMatchObject({ status: 0, stdout: "function\n", stderr: "" });
  });

  it("tells a compiler its types", () => {
    const use = `import { createMeter } from "weir/client";\nconst meter = createMeter({ url: "http://127.0.0.1:1", key: "k" });\n`;
    const check = (last: string) => {
      writeFileSync(join(dir.path, "plane.ts"), use + last);
      return node(join(ROOT, TOOLS.types), "--noEmit", "--strict", "--module", "nodenext", "--lib", "esnext,dom", "--types", "", "plane.ts")
        .stdout;
    };
    expect(check(`export const ended: Promise<{ unsettled: number }> = meter.close();\n`)).toBe("");
    expect(check(`export const ended: number = meter.close();\n`)).toContain("TS2322");
  });

  it("runs the command line and the engine beside its dependencies, as JavaScript", () => {
    for (const name of readdirSync(join(ROOT, "node_modules"))) {
      if (!name.startsWith(".")) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
    }
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(node("node_modules/weir/bin/weir.cjs", "--version")).toMatchObject({ status: 0, stdout: `${version}\n` });
    writeFileSync(join(dir.path, "engine.mjs"), `import { createEngine } from "weir";\nconsole.log(typeof createEngine);\n`);
    expect(node("engine.mjs")).toMatchObject({ status: 0, stdout: "function\n" });
  });
});
