export type Paint = (text: string) => string;

/** The few styles that Weir uses. Meaning first: colour never says what words do not. */
export interface Style {
  readonly colour: boolean;
  strong: Paint;
  faint: Paint;
  good: Paint;
  warning: Paint;
  bad: Paint;
}

const sgr =
  (open: number, close: number): Paint =>
  (text) =>
    text === "" ? "" : `\u001b[${open}m${text}\u001b[${close}m`;

export const ansiStyle: Style = {
  colour: true,
  strong: sgr(1, 22),
  faint: sgr(2, 22),
  good: sgr(32, 39),
  warning: sgr(33, 39),
  bad: sgr(31, 39),
};

const same: Paint = (text) => text;

export const plainStyle: Style = { colour: false, strong: same, faint: same, good: same, warning: same, bad: same };

// C0, DEL and C1 controls except newline and tab: a stored value could otherwise move the cursor or retitle the window.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu;

/** `text` with control characters shown as \xNN, safe to print on a terminal. */
export function printable(text: string): string {
  return text.replace(CONTROL, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

// An SGR sequence (no width of its own), or one character.
const TOKEN = /\u001b\[[0-9;]*m|[^]/gu;

/** The first `columns` visible characters of a line, with every style sequence kept, so that a style that was opened is closed. */
export function fitted(line: string, columns: number): string {
  let width = 0;
  return (line.match(TOKEN) ?? []).filter((token) => token.startsWith("\u001b") || (width += 1) <= columns).join("");
}
