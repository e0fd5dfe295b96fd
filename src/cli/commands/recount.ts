import type { Command } from "commander";
import { accountOf, action, show, type Context } from "../context.ts";
import { EXIT } from "../exit.ts";
import { bytes, count } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";

interface Page {
  objects: number;
  changed: number;
  differenceBytes: number;
  differences: { service: string; namespace: string; object: string; before: number; after: number }[];
  nextCursor: string | null;
}

interface RecountOptions {
  service?: string;
}

/** Differences shown to people; the figures count them all. */
const ROWS_SHOWN = 50;

export function register(command: Command): void {
  command
    .option("--service <service>", "only this service's objects")
    .addHelpText("after", "\nSizes that differ are set to what is on disk, whatever the limits say.")
    .action(
      action<RecountOptions>(async (context, _args, options) => {
        const total = await walk(context, options.service);
        show(context, total, (body) => lines(body, context));
        return EXIT.ok;
      }),
    );
}

async function walk(context: Context, service: string | undefined): Promise<Omit<Page, "nextCursor">> {
  const account = await accountOf(context);
  const total: Omit<Page, "nextCursor"> = { objects: 0, changed: 0, differenceBytes: 0, differences: [] };
  let cursor: string | null = null;
  do {
    const body: Record<string, string> = { account, ...(service === undefined ? {} : { service }), ...(cursor === null ? {} : { cursor }) };
    const page: Page = await context.api.call<Page>("POST", "/v1/recount/state", { body, withoutAccount: true });
    total.objects += page.objects;
    total.changed += page.changed;
    total.differenceBytes += page.differenceBytes;
    total.differences.push(...page.differences);
    context.progress.say(`${count(total.objects)} objects measured`);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return total;
}

function lines(total: Omit<Page, "nextCursor">, context: Context): string[] {
  const measured = `${count(total.objects)} ${total.objects === 1 ? "object" : "objects"} measured`;
  if (total.changed === 0) return [`${measured}; all as counted.`];
  const shown = total.differences.slice(0, ROWS_SHOWN);
  const right = { align: "right" as const };
  const columns = [
    { title: "SERVICE" },
    { title: "NAMESPACE" },
    { title: "OBJECT" },
    { title: "COUNTED", ...right },
    { title: "MEASURED", ...right },
  ];
  const rows = shown.map((d) => [d.service, d.namespace, d.object, bytes(d.before), bytes(d.after)]);
  const rest = total.differences.length - shown.length;
  const by = `${total.differenceBytes < 0 ? "−" : "+"}${bytes(Math.abs(total.differenceBytes))}`;
  return [
    ...table(columns, rows, context.out.style),
    ...(rest > 0 ? [`… and ${count(rest)} more`] : []),
    "",
    `${measured}; ${count(total.changed)} differed, stored bytes ${by}.`,
  ];
}
