import { detectFormat, type TraceFormat } from "./format.ts";
import { lines } from "./lines.ts";
import { TraceLineError, type TraceOperation } from "./operation.ts";

/** Lines that could not be read: how many, and the first one's reason. */
export interface Unreadable {
  count: number;
  /** For example `line 12: it has not 5 fields`. */
  first: string | null;
}

/** The source is no trace that Weir knows. */
export class UnknownFormatError extends Error {}

/** Blank lines that may stand before the first real one. */
const LEADING_BLANK_MAX = 100;

/** A trace being read: its format once the first line is there, the operations one by one, and what could not be read. */
export interface Trace {
  format: TraceFormat;
  unreadable: Unreadable;
  operations: AsyncIterable<TraceOperation>;
}

/** Opens a trace by its first line. Throws `UnknownFormatError`. Nothing is kept beyond the line at hand. */
export async function readTrace(source: AsyncIterable<Uint8Array>): Promise<Trace> {
  const iterator = lines(source);
  const { line: first, number } = await firstLine(iterator);
  const format = detectFormat(first);
  if (!format) {
    await iterator.return(undefined);
    throw new UnknownFormatError(
      "This is no trace that Weir can read: neither a CSV with the header time,op,service,namespace,object,key,bytes, nor a block " +
        "trace (version,time,op,size,lbn), nor an Apache access log.",
    );
  }
  const unreadable: Unreadable = { count: 0, first: null };
  return { format, unreadable, operations: operationsOf(iterator, format, first, number, unreadable) };
}

async function firstLine(iterator: AsyncIterator<string>): Promise<{ line: string; number: number }> {
  for (let number = 1; number <= LEADING_BLANK_MAX; number += 1) {
    const { value, done } = await iterator.next();
    if (done) break;
    if (typeof value === "string" && value.trim() !== "") return { line: value, number };
  }
  throw new UnknownFormatError("The trace is empty.");
}

async function* operationsOf(
  rest: AsyncIterable<string>,
  format: TraceFormat,
  first: string,
  firstNumber: number,
  unreadable: Unreadable,
): AsyncGenerator<TraceOperation> {
  let number = firstNumber;
  const read = (line: string): TraceOperation | null => {
    if (line.trim() === "") return null;
    try {
      return format.parse(line);
    } catch (error) {
      if (!(error instanceof TraceLineError)) throw error;
      unreadable.count += 1;
      unreadable.first ??= `line ${number}: ${error.message}`;
      return null;
    }
  };
  const opening = format.hasHeader ? null : read(first);
  if (opening) yield opening;
  for await (const line of rest) {
    number += 1;
    const operation = read(line);
    if (operation) yield operation;
  }
}
