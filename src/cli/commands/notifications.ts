import type { Command } from "commander";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { table } from "../terminal/table.ts";

interface Notification {
  id: string;
  type: string;
  createdAt: string;
  data: Record<string, unknown>;
}

export function register(command: Command): void {
  pageable(command).action(
    action<PageOptions>(async (context, _args, options) => {
      const query = pageQuery(options);
      const body = await context.api.call<{ notifications: Notification[] } & Page>("GET", "/v1/notifications", { query });
      show(context, body, ({ notifications }) => {
        if (notifications.length === 0) return ["Nothing yet: reaching 80 % of a limit is the first thing that is told."];
        const rows = notifications.map((n) => [n.createdAt, n.type, factsOf(n.data)]);
        return [...table([{ title: "TIME" }, { title: "TYPE" }, { title: "WHAT" }], rows, context.out.style), ...moreLines(body)];
      });
      return EXIT.ok;
    }),
  );
}

/** What matters of a notification in a line: usage in words, anything else as its facts. */
function factsOf(data: Record<string, unknown>): string {
  const { meter, used, limit, percent, period, source, account: _, ...others } = data;
  if (typeof meter === "string" && typeof used === "number" && typeof limit === "number")
    return `${meter}: ${used} of ${limit} in the ${String(period)} (${String(percent)} %, ${String(source)})`;
  const facts = { ...(meter === undefined ? {} : { meter, period }), ...others };
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
