import { TraceLineError, checkedOperation, operationKind, wholeNumber, type TraceOperation } from "./operation.ts";

const KNOWN = ["time", "op", "service", "namespace", "object", "key", "bytes"] as const;
const REQUIRED = ["op", "object", "key"] as const;

/** True for a header that names at least `op`, `object` and `key`, and no column that is not known. */
export function isGenericHeader(line: string): boolean {
  const names = headerNames(line);
  return REQUIRED.every((name) => names.includes(name)) && names.every((name) => (KNOWN as readonly string[]).includes(name));
}

/** A parser for lines under `header` (`time,op,service,namespace,object,key,bytes`, in any order; `time` is not used). */
export function genericCsvParser(header: string): (line: string) => TraceOperation {
  const names = headerNames(header);
  const at = (name: (typeof KNOWN)[number]): number => names.indexOf(name);
  const [op, service, namespace, object, key, bytes] = [at("op"), at("service"), at("namespace"), at("object"), at("key"), at("bytes")];
  return (line) => {
    const cells = csvCells(line);
    if (cells.length !== names.length) throw new TraceLineError(`it has ${cells.length} fields, the header ${names.length}`);
    const size = cells[bytes] ?? "";
    const stored = size === "" ? 0 : wholeNumber(size, "bytes");
    const kind = operationKind(cells[op] ?? "");
    return checkedOperation({
      kind,
      service: cells[service] || null,
      namespace: cells[namespace] || null,
      object: cells[object] ?? "",
      key: cells[key] ?? "",
      bytes: kind === "put" ? stored : 0,
      alongside: null,
    });
  };
}

const headerNames = (line: string): string[] =>
  line
    .replace(/^\ufeff/, "")
    .split(",")
    .map((name) => name.trim().toLowerCase());

/** RFC 4180 cells of one line: quoted where they hold a comma, `""` for a quote. A quoted line break is not supported. */
export function csvCells(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const cells: string[] = [];
  let i = 0;
  for (;;) {
    if (line[i] !== '"') {
      const comma = line.indexOf(",", i);
      const end = comma === -1 ? line.length : comma;
      cells.push(line.slice(i, end));
      i = end;
    } else {
      const close = closingQuote(line, i + 1);
      cells.push(line.slice(i + 1, close).replaceAll('""', '"'));
      i = close + 1;
    }
    if (i >= line.length) return cells;
    if (line[i] !== ",") throw new TraceLineError("text follows a closing quote");
    i += 1;
  }
}

function closingQuote(line: string, from: number): number {
  for (let i = from; i < line.length; i += 1) {
    if (line[i] !== '"') continue;
    if (line[i + 1] !== '"') return i;
    i += 1;
  }
  throw new TraceLineError("a quote is not closed");
}
