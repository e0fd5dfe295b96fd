import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { diskTrouble } from "./sqlite-file.ts";

/**
 * Makes a file appear whole or not at all, whatever dies when: written beside, flushed, renamed, and the folder's entry
 * flushed too. A leftover of a crash is overwritten by the next attempt.
 */
export async function createDurably(path: string, content: Uint8Array | string): Promise<void> {
  const draft = `${path}.new`;
  try {
    await makeFolder(dirname(path));
    await writeFlushed(draft, content);
    await rename(draft, path);
    await flushFolder(dirname(path));
  } catch (cause) {
    throw diskTrouble(cause);
  }
}

/** Makes the folder and what is missing above it; a new folder is only safe once the one that holds it is flushed. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await flushFolder(dirname(made));
}

/** Removes a file or a folder with all in it; nothing happens when it is not there. */
export async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
    await flushFolder(dirname(path));
  } catch (cause) {
    if (!isMissing(cause)) throw diskTrouble(cause, "could not be removed");
  }
}

export const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";

async function writeFlushed(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
