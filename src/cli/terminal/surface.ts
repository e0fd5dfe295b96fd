import { plainStyle, ansiStyle, type Style } from "./style.ts";

/** How wide text may be where the stream does not say (a pipe). */
const PIPE_COLUMNS = 100;

/** What a command needs to know about the stream it writes to. */
export interface Surface {
  write(text: string): void;
  /** Writes `text` and ends the line. */
  line(text?: string): void;
  /** A person reads this: bars and redrawing make sense. */
  readonly interactive: boolean;
  readonly columns: number;
  readonly style: Style;
}

export interface TextStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** `NO_COLOR` (no-color.org: any non-empty value) and `TERM=dumb` turn colour off; a pipe never gets it. */
export function surface(stream: TextStream, env: Readonly<Record<string, string | undefined>>): Surface {
  const interactive = stream.isTTY === true && env["TERM"] !== "dumb";
  const colour = interactive && !env["NO_COLOR"];
  return {
    write: (text) => void stream.write(text),
    line: (text = "") => void stream.write(`${text}\n`),
    interactive,
    // A terminal that was never given a size says 0.
    columns: (interactive && stream.columns) || PIPE_COLUMNS,
    style: colour ? ansiStyle : plainStyle,
  };
}
