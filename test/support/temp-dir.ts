import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of its own under the system's temporary one (mode 700), and how to remove it with all that is in it. */
export function tempDir(purpose = "test"): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `weir-${purpose}-`));
  chmodSync(path, 0o700);
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}
