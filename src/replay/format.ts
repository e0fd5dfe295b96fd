import { isAccessLog, parseAccessLog } from "./access-log.ts";
import { BLOCK_IO_HEADER, parseBlockIo } from "./block-io.ts";
import { genericCsvParser, isGenericHeader } from "./generic-csv.ts";
import type { TraceOperation } from "./operation.ts";

/** How a trace is read. */
export interface TraceFormat {
  name: "block I/O" | "access log" | "CSV";
  /** The first line is a header, not an operation. */
  hasHeader: boolean;
  /** One line as an operation. Throws `TraceLineError`. */
  parse: (line: string) => TraceOperation;
}

/** The format that a trace's first line shows, or null. The file's name says nothing: traces get renamed and recompressed. */
export function detectFormat(firstLine: string): TraceFormat | null {
  const line = firstLine.trimEnd();
  if (line.toLowerCase() === BLOCK_IO_HEADER) return { name: "block I/O", hasHeader: true, parse: parseBlockIo };
  if (isGenericHeader(line)) return { name: "CSV", hasHeader: true, parse: genericCsvParser(line) };
  if (isAccessLog(line)) return { name: "access log", hasHeader: false, parse: parseAccessLog };
  return null;
}
