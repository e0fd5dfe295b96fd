import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { NAMESPACE_NAME_PATTERN, SERVICE_PATTERN } from "../../kernel/ids.ts";
import { action, printJson } from "../context.ts";
import { EXIT } from "../exit.ts";
import { integer } from "../parse.ts";
import type { ReplayOptions } from "../replay/replay.ts";

const HELP = `
Formats, told by the content, plain or .gz, "-" for stdin:
  CSV with the header time,op,service,namespace,object,key,bytes (op: get, put or delete)
  block traces with the header version,time,op,size,lbn (object = lbn >> 10, key = lbn, 28 = get, 2a = put)
  Apache access logs (object = client, key = path, GET and HEAD = get; one worker request with its bytes beside each)

When it is over it compares what it counted with what Postgres holds, and exits 1 if they differ.`;

export function register(command: Command): void {
  command
    .argument("<trace>", "the file")
    .option("--check-only", "ask for each operation, but store nothing")
    .option("--concurrency <n>", "calls under way at once (default 32; 8 with --check-only)", integer(1, 256))
    .option("--batch <n>", "checks in one call, with --check-only", integer(1, 1000), 250)
    .option("--limit <n>", "stop after this many operations", integer(1))
    .option("--service <service>", "book everything on this service (default: a new one)", named(SERVICE_PATTERN))
    .option("--namespace <namespace>", "store everything in this namespace (default: Trace)", named(NAMESPACE_NAME_PATTERN))
    .addHelpText("after", HELP)
    .action(
      action<ReplayOptions>(async (context, [file = ""], options) => {
        // Loaded here: the parsers, lanes and zlib are of no use to `weir replay --help`.
        const [{ replay }, { reportJson, reportLines }, { proven }] = await Promise.all([
          import("../replay/replay.ts"),
          import("../replay/report.ts"),
          import("../../replay/verdict.ts"),
        ]);
        const result = await replay(context, file, options);
        if (context.json) printJson(context, reportJson(result));
        else for (const line of reportLines(result, context.out.style)) context.out.line(line);
        return proven(result.verification.meters) ? EXIT.ok : EXIT.failed;
      }),
    );
}

const named =
  (pattern: RegExp) =>
  (text: string): string => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`It must match ${pattern.source}.`);
  };
