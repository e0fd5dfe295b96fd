import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

const ASK_TIME_LIMIT_MS = 5_000;
/** Older ones lack what the job queue and the scripts call. */
const VERSION_MIN = [6, 2] as const;

/** A Redis or Valkey found on PATH. */
export interface RedisProgram {
  kind: "redis" | "valkey";
  path: string;
  /** As it names itself: "7.0.15". */
  version: string;
}

/** The first `redis-server`, else `valkey-server`, on PATH that is 6.2 or later; null where there is none. */
export async function findRedisProgram(log: (line: string) => void = () => {}): Promise<RedisProgram | null> {
  for (const kind of ["redis", "valkey"] as const) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
      const path = join(folder, `${kind}-server`);
      const version = folder === "" ? null : await versionOf(path);
      if (version === null) continue;
      if (isRecent(version)) return { kind, path, version };
      log(`${path} is version ${version}; Weir needs ${VERSION_MIN.join(".")} or later and passes it over.`);
    }
  }
  return null;
}

async function versionOf(path: string): Promise<string | null> {
  const executable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!executable) return null;
  const answer = await new Promise<string>((resolve) => {
    execFile(path, ["--version"], { timeout: ASK_TIME_LIMIT_MS }, (_error, stdout) => resolve(stdout));
  });
  return /\bv=(\d+(?:\.\d+)*)/.exec(answer)?.[1] ?? null;
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
}
