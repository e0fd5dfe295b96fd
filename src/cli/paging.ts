import type { Command } from "commander";
import { integer } from "./parse.ts";

/** The largest page that the API gives. */
const PAGE_MAX = 1000;

export interface PageOptions {
  limit?: number;
  cursor?: string;
}

export interface Page {
  nextCursor?: string | null;
}

/** Adds `--limit` and `--cursor` to a command that lists. */
export function pageable(command: Command): Command {
  return command
    .option("--limit <n>", "how many at most (default 100)", integer(1, PAGE_MAX))
    .option("--cursor <cursor>", "go on where a page ended");
}

export const pageQuery = (options: PageOptions): Record<string, string | number | undefined> => ({
  limit: options.limit,
  cursor: options.cursor,
});

/** The line that says there is more, and how to see it. */
export function moreLines(page: Page): string[] {
  return page.nextCursor ? ["", `There is more: add --cursor ${page.nextCursor}`] : [];
}
