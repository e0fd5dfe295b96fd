/** Code blocks of a Markdown file that a test carries out, so that nothing a reader copies is wrong. */

/** One fenced block of a language that runs. */
export interface Snippet {
  /** The line of the file its fence stands on, from 1 on. */
  line: number;
  language: Language;
  text: string;
  /** Where the text is kept (` ```json file=meters.json`), for what comes after it. */
  file: string | null;
  /** The exit code that is meant (` ```sh exit=3`). */
  exit: number;
  /** What the next block, a ```text, says it prints; null where it may print anything. */
  prints: string | null;
  /** Why it cannot be carried out here (` ```sh not run: needs Docker`). */
  notRun: string | null;
}

/** `console`: lines that begin with `$ ` are typed, what follows each is printed. */
const LANGUAGES = ["sh", "console", "ts", "json"] as const;
export type Language = (typeof LANGUAGES)[number];

/** Blocks that are looked at and not run: output, protocols, drawings. Everything else has to be one of LANGUAGES. */
const SHOWN = new Set(["", "text", "http"]);

interface Fence {
  line: number;
  info: string;
  text: string;
}

/** The blocks of `markdown` that run. Throws for a block that would escape: of another language, or with an option that is not known. */
export function snippetsOf(markdown: string): Snippet[] {
  const fences = fencesOf(markdown);
  return fences.flatMap((fence, i) => {
    const [, language = "", rest = ""] = /^(\S*)\s*(.*)$/.exec(fence.info) ?? [];
    if (SHOWN.has(language)) {
      if (language === "" && /^(?:\$ |npx |npm |curl )/m.test(fence.text))
        throw new Error(`line ${fence.line}: say \`sh\` or \`console\`, so that it is run`);
      return [];
    }
    const known = LANGUAGES.find((name) => name === language);
    if (!known) throw new Error(`line ${fence.line}: "${language}" is none of ${LANGUAGES.join(", ")}`);
    const next = fences[i + 1];
    const prints = known !== "console" && next?.info === "text" ? next.text : null;
    return [{ line: fence.line, language: known, text: fence.text, prints, ...optionsOf(rest, fence.line) }];
  });
}

function fencesOf(markdown: string): Fence[] {
  const fences: Fence[] = [];
  let open: Fence | null = null;
  for (const [i, line] of markdown.split("\n").entries()) {
    const info = /^```(.*)$/.exec(line)?.[1];
    if (open === null && info !== undefined) open = { line: i + 1, info: info.trim(), text: "" };
    else if (open !== null && info === "") {
      fences.push(open);
      open = null;
    } else if (open !== null) open.text += `${line}\n`;
  }
  return fences;
}

function optionsOf(text: string, line: number): Pick<Snippet, "file" | "exit" | "notRun"> {
  const found = { file: null as string | null, exit: 0, notRun: null as string | null };
  const reason = /^not run: (.+)$/.exec(text)?.[1];
  if (reason !== undefined) return { ...found, notRun: reason };
  for (const option of text.split(" ").filter(Boolean)) {
    const [name, value = ""] = option.split("=", 2);
    if (name === "file" && /^[\w.-]+$/.test(value)) found.file = value;
    else if (name === "exit" && /^\d$/.test(value)) found.exit = Number(value);
    else throw new Error(`line ${line}: "${option}" is no option of a block`);
  }
  return found;
}

/** A command of a `console` block, and what it prints. */
export interface Step {
  typed: string;
  prints: string;
}

export function stepsOf(text: string): Step[] {
  const steps: Step[] = [];
  for (const line of text.trimEnd().split("\n")) {
    const step = steps.at(-1);
    if (line.startsWith("$ ")) steps.push({ typed: line.slice(2), prints: "" });
    else if (!step) throw new Error(`"${line}" stands before any command`);
    else if (step.prints === "" && step.typed.endsWith("\\")) step.typed += `\n${line}`;
    else step.prints += `${line}\n`;
  }
  return steps;
}

/** Where two runs differ and both are right: times, spans of time, and what stands for `…`. Blanks count as one. */
const VARIES: readonly [RegExp, string][] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\\\.\d+)?Z/g, "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z"],
  [/\bin \d+ (?:d|h|min|s)(?: \d+ (?:h|min|s))?/g, "(?:in \\d+ (?:d|h|min|s)(?: \\d+ (?:h|min|s))?|now)"],
  [/ +/g, " +"],
  [/…/g, ".*"],
];

/** Whether `actual` is what `expected` says, line by line; a line of `…` alone stands for any number of lines. */
export function isPrinted(expected: string, actual: string): boolean {
  const line = (text: string): string =>
    VARIES.reduce((pattern, [what, instead]) => pattern.replaceAll(what, instead), text.trim().replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  const lines = expected.trimEnd().split("\n");
  const pattern = lines.map((text) => (text.trim() === "…" ? "(?:.*\\n)*?" : `${line(text)}\\n`)).join("");
  const said = actual.split("\n").map((text) => text.trim());
  return new RegExp(`^${pattern}$`).test(`${said.join("\n").trimEnd()}\n`);
}
