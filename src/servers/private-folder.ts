import { chmod, mkdir, open, readFile, rename, stat, truncate } from "node:fs/promises";
import { dirname, join } from "node:path";
import { randomBase62 } from "../kernel/ids.ts";

/** 32 base-62 characters hold 190 random bits. */
const PASSWORD_LENGTH = 32;
/** A server's log is started afresh past this size, in bytes, when the server starts. */
const LOG_SIZE_MAX_BYTES = 10 * 1024 * 1024;

/** Makes `path` with mode 700: other users of the machine see nothing of it. */
export async function makePrivate(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

/** The password in `<folder>/password` (mode 600); made on the first call. */
export async function keptPassword(folder: string): Promise<string> {
  const file = join(folder, "password");
  const known = (await readFile(file, "utf8").catch(() => "")).trim();
  if (known !== "") return known;
  const fresh = randomBase62(PASSWORD_LENGTH);
  await writePrivate(file, `${fresh}\n`);
  return fresh;
}

/** Writes `file` with mode 600, whole or not at all: a new file is synced and renamed over the old one. */
export async function writePrivate(file: string, text: string): Promise<void> {
  const draft = join(dirname(file), `.${randomBase62(8)}.new`);
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}

/** Empties a log that has grown past 10 MiB. */
export async function boundLog(file: string): Promise<void> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_SIZE_MAX_BYTES) await truncate(file);
}
