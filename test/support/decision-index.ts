import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./tools.ts";

const FOLDER = "docs/decisions";

const HEAD = `# Decisions

Written by \`npm run generate\` from the notes' own first lines.

**Owns** what was chosen where another way was open: the choice, what was tried or refused, the figures, and when to reconsider.
**Does not own** how a part works today: its README and its code say that.

A note is a page, and its file begins with its number. A number is never given again; numbers have gaps. A choice that is given up keeps its note, with the state
*Superseded by NNNN*.
`;

/** `# NNNN Title`, an empty line, and the state in a word, or in a few where it was superseded. */
const FIRST_LINES = /^# (\d{4}) (.+)\n\n\*\*State\.\*\* (Accepted|Superseded by \d{4})\b/;

/** docs/decisions/README.md: a row for each note. Throws for one that does not begin as the others do. */
export function decisionIndex(): string {
  const notes = readdirSync(join(ROOT, FOLDER)).filter((name) => name !== "README.md");
  const rows = notes.toSorted().map((name) => {
    const [, number, title, state] = FIRST_LINES.exec(readFileSync(join(ROOT, FOLDER, name), "utf8")) ?? [];
    if (number === undefined || !name.startsWith(`${number}-`)) {
      throw new Error(
        `${FOLDER}/${name} must begin with "# NNNN Title", its own number, and "**State.** Accepted" or "Superseded by NNNN".`,
      );
    }
    return `| [${number}](${name}) | ${title} | ${state} |`;
  });
  return `${[HEAD, "| | decision | state |", "|---|---|---|", ...rows].join("\n")}\n`;
}
