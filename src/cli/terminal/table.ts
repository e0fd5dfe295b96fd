import { printable, type Paint, type Style } from "./style.ts";

export interface Column {
  title: string;
  /** Figures stand right, words left. */
  align?: "left" | "right";
}

/** A cell: its text, and how to paint it once it is padded (so that colour does not disturb the widths). */
export type Cell = string | { text: string; paint: Paint };

const GAP = "  ";

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);

/** Code points, not UTF-16 units: an emoji in an object's name must not shift its row. */
const widthOf = (text: string): number => [...text].length;

/** The table's lines: titles, then one line a row, every column as wide as its widest cell. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], style: Style): string[] {
  const clean = rows.map((row) => columns.map((_, i) => printable(textOf(row[i] ?? "")).replaceAll("\n", "\\n")));
  const widths = columns.map((column, i) => Math.max(widthOf(column.title), ...clean.map((row) => widthOf(row[i] ?? ""))));
  const pad = (text: string, i: number): string => {
    const fill = " ".repeat((widths[i] ?? 0) - widthOf(text));
    if (columns[i]?.align === "right") return fill + text;
    // Nothing after the last word: trailing blanks break diffs and copied text.
    return i === columns.length - 1 ? text : text + fill;
  };
  const head = columns.map((column, i) => style.strong(pad(column.title, i))).join(GAP);
  const body = clean.map((row, r) =>
    row
      .map((text, i) => {
        const cell = rows[r]?.[i];
        const padded = pad(text, i);
        return typeof cell === "object" ? cell.paint(padded) : padded;
      })
      .join(GAP)
      .trimEnd(),
  );
  return [head, ...body];
}

/** `label  value` lines, values under one another. */
export function fields(pairs: readonly (readonly [string, string])[], style: Style): string[] {
  const width = Math.max(0, ...pairs.map(([label]) => widthOf(label)));
  return pairs.map(([label, value]) => `${style.faint(label.padEnd(width))}${GAP}${printable(value)}`);
}
