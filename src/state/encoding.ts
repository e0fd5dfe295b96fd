import { validationFailed } from "../kernel/errors.ts";

export const ENCODINGS = ["text", "base64"] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** The bytes of a value as it was sent. Throws `validation_failed`: a value that would come back changed is refused. */
export function decodeValue(value: string, encoding: Encoding): Uint8Array {
  if (encoding === "text") {
    if (!value.isWellFormed()) throw validationFailed([{ path: "value", message: "holds a lone surrogate, which UTF-8 cannot carry" }]);
    return Buffer.from(value);
  }
  const bytes = Buffer.from(value, "base64");
  // Node skips what it does not know and takes the URL alphabet too; only what encodes back to itself is base64 (RFC 4648 §4).
  if (bytes.toString("base64") !== value) throw validationFailed([{ path: "value", message: "is not base64 (RFC 4648 §4, padded)" }]);
  return bytes;
}

// ignoreBOM keeps a leading U+FEFF: it is part of the value.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The value as text; null where it is not UTF-8. */
export function textOf(value: Uint8Array): string | null {
  try {
    return strict.decode(value);
  } catch {
    return null;
  }
}

export const base64Of = (value: Uint8Array): string => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
