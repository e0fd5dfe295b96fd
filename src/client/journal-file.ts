import { closeSync, existsSync, fstatSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import type { Journal, JournalEntry } from "./journal.ts";

/** Above it the file is written anew with what is unended alone. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;

type Used = Extract<JournalEntry, { kind: "used" }>;

/**
 * A journal in one file, a line an entry, written before `append` returns: the kernel has it then, and a killed process cannot take it
 * along. (A machine that loses power can: then what the last second was spent on may not be counted.) One process a file.
 */
export function openFileJournal(path: string): Journal {
  const left = read(path);
  const open = new Map<string, string>();
  for (const entry of left.values()) open.set(entry.lease, lineOf(entry));
  let fd = rewrite(path, open);
  let bytes = fstatSync(fd).size;
  return {
    unended: () => [...left.values()],
    append: (entry) => {
      if (entry.kind === "begun") return;
      const line = lineOf(entry);
      if (entry.kind === "ended") open.delete(entry.lease);
      else open.set(entry.lease, line);
      bytes += writeSync(fd, line);
      if (bytes < FILE_BYTES_MAX) return;
      closeSync(fd);
      fd = rewrite(path, open);
      bytes = fstatSync(fd).size;
    },
    close: () => closeSync(fd),
  };
}

const lineOf = (entry: JournalEntry): string => `${JSON.stringify(entry)}\n`;

/** Writes the file anew beside the old one and puts it in its place: at every moment one of the two is whole. */
function rewrite(path: string, open: ReadonlyMap<string, string>): number {
  const next = `${path}.next`;
  writeFileSync(next, [...open.values()].join(""));
  renameSync(next, path);
  return openSync(path, "a");
}

/** The last of each lease that did not end. A line that was cut short by a kill was not answered for. */
function read(path: string): Map<string, Used> {
  const left = new Map<string, Used>();
  if (!existsSync(path)) return left;
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const entry = parse(line);
    if (entry?.kind === "used") left.set(entry.lease, entry);
    else if (entry?.kind === "ended") left.delete(entry.lease);
  }
  return left;
}

function parse(line: string): JournalEntry | null {
  try {
    return line === "" ? null : (JSON.parse(line) as JournalEntry);
  } catch {
    return null;
  }
}
