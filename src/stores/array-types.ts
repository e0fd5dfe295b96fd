// Postgres' own numbers of the array types that statements of ours take or answer.
const INT4_ARRAY = 1007;
const TEXT_ARRAY = 1009;
const INT8_ARRAY = 1016;
const TIMESTAMPTZ_ARRAY = 1185;
const NUMERIC_ARRAY = 1231;
const UUID_ARRAY = 2951;

/** An element as it is sent. */
type Written = string | number | bigint | null;

/**
 * Array types, told to the driver instead of letting it ask: it asks on every new connection, and when that connection dies while it
 * asks, the rejection is nobody's and ends the process. Elements are read as text, but for int[].
 */
export const ARRAY_TYPES = {
  int4Array: arrayType(INT4_ARRAY, (text) => readArray(text).map((e) => (e === null ? null : Number(e)))),
  textArray: arrayType(TEXT_ARRAY, readArray),
  int8Array: arrayType(INT8_ARRAY, readArray),
  timestamptzArray: arrayType(TIMESTAMPTZ_ARRAY, readArray),
  numericArray: arrayType(NUMERIC_ARRAY, readArray),
  uuidArray: arrayType(UUID_ARRAY, readArray),
};

function arrayType(oid: number, parse: (text: string) => Written[]) {
  return { to: oid, from: [oid], serialize: writeArray, parse };
}

/** `{"a","b"}`, every element quoted. */
export function writeArray(elements: readonly Written[]): string {
  if (elements.length === 0) return "{}";
  // Most arrays need no escape, and looking for one in all elements at once is far cheaper than in each.
  if (!elements.includes(null) && !/["\\]/.test(elements.join(""))) return `{"${elements.join('","')}"}`;
  return `{${elements.map((e) => (e === null ? "NULL" : `"${escaped(String(e))}"`)).join(",")}}`;
}

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');

/** Reads a one-dimensional array as Postgres writes it. */
export function readArray(text: string): (string | null)[] {
  const elements: (string | null)[] = [];
  // A quoted element with its escapes, or a bare one.
  for (const [, quoted, bare] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs)) {
    if (quoted !== undefined) elements.push(quoted.replace(/\\(.)/gs, "$1"));
    else elements.push(bare === "NULL" ? null : (bare ?? ""));
  }
  return elements;
}
