import { open } from "node:fs/promises";
import { usageError } from "./failure.ts";

/** What a stored value is sent as. */
export interface ValueBody {
  value: string;
  encoding: "text" | "base64";
}

/** The most that is read from a file or stdin: above the 2 MiB a value may have, so that the API itself says it is too large. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

export interface ValueOptions {
  /** The value as it stands: a leading @ is one. */
  value?: string;
  file?: string;
  base64?: boolean;
}

/**
 * The value of a `put`: the word itself, `@path` for a file's bytes (`@@…` for a word that begins with @), or `--file path`
 * with `-` for stdin. Bytes that are plain UTF-8 go as text, others as base64. `--base64` says that a word is base64 already.
 */
export async function valueBody(word: string | null, options: ValueOptions): Promise<ValueBody> {
  if (options.value !== undefined) {
    if (word !== null || options.file !== undefined) throw usageError("The value is given twice.", "Leave all but one out.");
    return { value: options.value, encoding: options.base64 ? "base64" : "text" };
  }
  if (options.file !== undefined) {
    if (word !== null) throw usageError("The value is given twice: as an argument and with --file.", "Leave one out.");
    return bytesBody(await readBytes(options.file), options.base64 === true);
  }
  if (word === null)
    throw usageError("The value is missing.", "Give it as the last argument, as @path, or with --file <path> (- for stdin).");
  if (word.startsWith("@@")) return { value: word.slice(1), encoding: options.base64 ? "base64" : "text" };
  if (word.startsWith("@")) return bytesBody(await readBytes(word.slice(1)), options.base64 === true);
  return { value: word, encoding: options.base64 ? "base64" : "text" };
}

function bytesBody(bytes: Buffer, base64: boolean): ValueBody {
  if (base64) return { value: bytes.toString("latin1").replace(/\s+/g, ""), encoding: "base64" };
  const text = utf8(bytes);
  return text === null ? { value: bytes.toString("base64"), encoding: "base64" } : { value: text, encoding: "text" };
}

// What JSON writes as \uXXXX: six bytes for one, where base64 takes four for three.
const ESCAPED = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;

/** The text of `bytes`, or null where base64 is the better way to send them. */
function utf8(bytes: Buffer): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return ESCAPED.test(text) ? null : text;
  } catch {
    return null;
  }
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    const source = path === "-" ? process.stdin : (await open(path)).createReadStream();
    for await (const chunk of source) {
      const bytes = Buffer.from(chunk as Uint8Array);
      size += bytes.length;
      if (size > FILE_BYTES_MAX) throw usageError(`${path} is larger than ${FILE_BYTES_MAX} bytes; a value may have 2 MiB.`);
      chunks.push(bytes);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof Error && "code" in error) throw usageError(`${path} cannot be read (${String(error.code)}).`);
    throw error;
  }
}
