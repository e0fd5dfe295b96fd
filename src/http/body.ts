import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { validationFailed, WeirError } from "../kernel/errors.ts";

/** Levels of arrays and objects inside one another. The deepest document of ours, a catalogue, has eight. */
const DEPTH_MAX = 32;
/** Members of one object or elements of one list. No list of the API is longer than 1,000, which its own schema says better. */
const WIDTH_MAX = 2_000;
/** Members and elements in all: 1,000 checks of 60 members each. */
const VALUES_MAX = 60_000;

/** Used by one call at a time, which never waits. */
const WIDTHS = new Uint16Array(DEPTH_MAX + 1);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BYTE_ORDER_MARK = 0xfeff;

/** Makes `types` be read as JSON, strictly. No other type is read: a route that takes one says so. */
export function readAsJson(app: FastifyInstance, types: string | string[]): void {
  app.addContentTypeParser(types, { parseAs: "buffer" }, (request, bytes: Buffer, done) => {
    try {
      // Nothing is unpacked here, so a kilobyte cannot become a gigabyte.
      const encoding = request.headers["content-encoding"];
      if (encoding !== undefined && encoding !== "identity")
        throw new WeirError("bad_request", "Send the body as it is, without Content-Encoding.");
      done(null, bytes.length === 0 && needsNoBody(request) ? undefined : parseBody(bytes));
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** Many clients name a content type with every call; on a route that takes no body, or may, an empty one is none. */
function needsNoBody(request: FastifyRequest): boolean {
  const body = request.routeOptions.schema?.body;
  return !(body instanceof z.ZodType) || body.safeParse(null).success;
}

/**
 * Reads a JSON body. Stricter than JSON.parse where two readers of one text may disagree, or one may be made to work for nothing:
 * bytes that are no UTF-8, a member named twice, names that reach an object's prototype, and depth and width are refused, the last two
 * before anything is built. Throws `invalid_json` and `validation_failed`.
 */
export function parseBody(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw invalidJson("The body is not UTF-8.");
  const named = measure(bytes);
  const text = bytes.toString();
  const body = parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text);
  if (memberCount(body) !== named) throw invalidJson("An object in the body names a member twice.");
  return body;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not the parser's own words: they quote the body.
    throw invalidJson("The body is not valid JSON.");
  }
}

/**
 * How many members the text names: a colon outside a string is one. Looks at the text once; what is no JSON, the parser will tell. By
 * bytes, which is five times as fast as by characters; no byte of a longer character is one of those that are looked for.
 */
function measure(text: Buffer): number {
  WIDTHS[0] = 0;
  let depth = 0;
  let named = 0;
  let values = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (byte === QUOTE) {
      i = stringEnd(text, i);
    } else if (byte === COLON) {
      named += 1;
    } else if (byte === COMMA) {
      const width = (WIDTHS[depth] ?? 0) + 1;
      WIDTHS[depth] = width;
      if (++values > VALUES_MAX || width >= WIDTH_MAX) throw tooMany();
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (++depth > DEPTH_MAX) throw validationFailed([{ path: "", message: `may be nested ${DEPTH_MAX} levels deep at most` }]);
      WIDTHS[depth] = 0;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
    }
  }
  return named;
}

/** Where the string that begins at `from` ends; the text's end when it does not. */
function stringEnd(text: Buffer, from: number): number {
  for (let i = from + 1; i < text.length; i++) {
    const byte = text[i];
    if (byte === QUOTE) return i;
    if (byte === BACKSLASH) i += 1;
  }
  return text.length;
}

/** Members that were built. Fewer than were named: one name came twice, and the last one won in silence. */
function memberCount(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const element of value) count += memberCount(element);
    return count;
  }
  for (const name of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[name];
    if (name === "__proto__" || (name === "constructor" && hasPrototype(member)))
      throw invalidJson("The body names what is no member: __proto__ or constructor.prototype.");
    count += 1 + memberCount(member);
  }
  return count;
}

const hasPrototype = (value: unknown): boolean => typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");

const invalidJson = (sentence: string): WeirError => new WeirError("invalid_json", sentence);

const tooMany = (): WeirError =>
  validationFailed([{ path: "", message: `may hold ${VALUES_MAX} values at most, and ${WIDTH_MAX} in one list or object` }]);
