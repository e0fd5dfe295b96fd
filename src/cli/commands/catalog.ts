import { readFile, stat } from "node:fs/promises";
import type { Command } from "commander";
import { action, printJson, show, type Args, type Context } from "../context.ts";
import { EXIT } from "../exit.ts";
import { usageError } from "../failure.ts";

/** The largest file that is read: the shipped catalogue has 20 kB. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

const FILE_HELP =
  "\nThe file holds any of products, meters, operations and plans; each entry replaces the one of the same name or is added.";

interface Applied {
  version?: number;
  applied?: boolean;
}

export function register(command: Command): void {
  command
    .command("show")
    .description("the catalogue in force, as JSON")
    .action(
      action(async (context) => {
        printJson(context, await context.api.call("GET", "/v1/catalog", { withoutAccount: true }));
        return EXIT.ok;
      }),
    );
  command
    .command("diff")
    .description("what applying a file would change")
    .argument("<file>", "a JSON file")
    .addHelpText("after", FILE_HELP)
    .action(action(diff));
  command
    .command("apply")
    .description("put a file into force as a new version")
    .argument("<file>", "a JSON file")
    .addHelpText("after", FILE_HELP)
    .action(
      action(async (context, [file = ""]) => {
        const body = await context.api.call<Applied>("PUT", "/v1/catalog", { body: await readJson(file), withoutAccount: true });
        show(context, body, ({ version, applied }) => [
          applied === false ? `Nothing to change: version ${version ?? ""} says the same.` : `Version ${version ?? ""} is in force.`,
        ]);
        return EXIT.ok;
      }),
    );
}

async function diff(context: Context, [file = ""]: Args): Promise<typeof EXIT.ok> {
  const patch = await readJson(file);
  const [{ readCatalog }, { mergeCatalog }, { diffCatalogs }] = await Promise.all([
    import("../catalog-source.ts"),
    import("../../catalog/parse.ts"),
    import("../../catalog/diff.ts"),
  ]);
  const current = await readCatalog(context.api);
  const changes = diffCatalogs(current, mergeCatalog(current, patch));
  show(context, { changes }, () => (changes.length === 0 ? ["No changes."] : changes.map((change) => change.text)));
  return EXIT.ok;
}

async function readJson(file: string): Promise<unknown> {
  let text: string;
  try {
    if ((await stat(file)).size > FILE_BYTES_MAX) throw usageError(`${file} is larger than ${FILE_BYTES_MAX} bytes.`);
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) throw usageError(`${file} cannot be read (${String(error.code)}).`);
    throw error;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw usageError(`${file} is not valid JSON: ${error instanceof Error ? error.message : ""}`);
  }
}
