import { beforeAll, describe, expect, it } from "vitest";
import { linkModules } from "../../src/http/link-modules.ts";
import { readDashboard, type DashboardFiles } from "../../src/http/dashboard-files.ts";

describe("linking modules", () => {
  const run = async (files: Record<string, string>): Promise<Record<string, unknown>> => {
    const text = `${linkModules(new Map(Object.entries(files)), "main.js")}\nexport default $${Object.keys(files).length - 1};`;
    const module = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as { default: Record<string, unknown> };
    return module.default;
  };

  it("runs each once, in the order of imports, each with names of its own", async () => {
    const found = await run({
      "main.js": `import { twice as double } from "./parts/twice.js";\nimport { seen, look } from "./seen.js";\nconst own = 3;\nexport const six = double(own);\nlook();\nexport { seen };\n`,
      "parts/twice.js": `import { look } from "../seen.js";\n/** Doubles.\n * @param {number} n */\nexport function twice(n) {\n  const own = 2;\n  // Once.\n  look();\n  return n * own;\n}\n`,
      "seen.js": `export const seen = [];\nexport const look = () => {\n  /** @type {number[]} */ (seen).push(1);\n};\n/** Nothing. */\nconst nothing = /** @type {null} */ (null);\n`,
    });
    expect(found).toEqual({ six: 6, seen: [1, 1] });
  });

  it("refuses what it does not know", () => {
    const link = (text: string): string => linkModules(new Map([["main.js", text]]), "main.js");
    expect(() => link(`export default 1;`)).toThrow(/form/);
    expect(() => link(`import * as all from "./other.js";`)).toThrow(/form/);
    expect(() => link(`import { a } from "./missing.js";`)).toThrow(/no module missing.js/);
  });
});

describe("the dashboard's files", () => {
  /** What the dashboard may weigh in all, libraries included, bytes. */
  const GZIPPED_MAX = 60 * 1024;
  let dashboard: DashboardFiles;
  beforeAll(async () => {
    dashboard = await readDashboard();
  });

  it("weigh at most 60 KiB gzipped, all of them together", () => {
    const weights = [dashboard.page, ...dashboard.files.values()].map(({ gzipped }) => gzipped.length);
    expect(weights.reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(GZIPPED_MAX);
  });

  it("hold no inline script or style and nothing from elsewhere", () => {
    const page = dashboard.page.body.toString();
    expect(page.match(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/g)).toBeNull();
    const texts = [page, ...[...dashboard.files.values()].map(({ body }) => body.toString())].join("\n");
    const addresses = [...texts.matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([address]) => address);
    expect(
      addresses.filter((address) => !/^http:\/\/www\.w3\.org\/|^https:\/\/(?:github\.com\/leeoniya\/uPlot|example\.com)/.test(address)),
    ).toEqual([]);
  });

  it("name each other by address, no package by its name", () => {
    const modules = [...dashboard.files].filter(([name]) => name.endsWith(".js"));
    const imported = modules.flatMap(([, { body }]) =>
      [...body.toString().matchAll(/\b(?:from|import\() ?"([^"]+)"/g)].map(([, target = ""]) => target),
    );
    expect(imported.length).toBeGreaterThan(3);
    for (const target of imported) expect(dashboard.files.has(target.replace(`/assets/${dashboard.version}/`, ""))).toBe(true);
  });
});
