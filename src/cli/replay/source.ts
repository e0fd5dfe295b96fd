import { open, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { usageError } from "../failure.ts";

/** A trace's bytes, unpacked, and how far the reading is. */
export interface ByteSource {
  bytes: AsyncIterable<Uint8Array>;
  /** 0–1 of the file as it lies on disk; null for a pipe, which has no known end. */
  progress: () => number | null;
}

const GZIP_MAGIC = [0x1f, 0x8b] as const;

/** Opens a file, or stdin for `-`. Gzip is told by its first bytes, not by the name. */
export async function openSource(file: string): Promise<ByteSource> {
  const raw: AsyncIterable<Uint8Array> = file === "-" ? process.stdin : await fileStream(file);
  const total = file === "-" ? null : (await stat(file)).size;
  let read = 0;
  const counted = (async function* () {
    for await (const chunk of raw) {
      read += chunk.byteLength;
      yield chunk;
    }
  })();
  return { bytes: await unpacked(counted), progress: () => (total === null ? null : total === 0 ? 1 : Math.min(1, read / total)) };
}

async function fileStream(file: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    return (await open(file)).createReadStream();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw usageError(`${file} cannot be opened (${code}).`, "Name a trace: a CSV, a block trace or an access log, plain or .gz.");
  }
}

async function unpacked(source: AsyncGenerator<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const first = await source.next();
  if (first.done) return Readable.from([]);
  const whole = (async function* () {
    yield first.value;
    yield* source;
  })();
  if (!GZIP_MAGIC.every((byte, i) => first.value[i] === byte)) return whole;
  const gunzip = createGunzip();
  const packed = Readable.from(whole, { objectMode: false });
  packed.on("error", (error) => gunzip.destroy(error));
  return packed.pipe(gunzip);
}
