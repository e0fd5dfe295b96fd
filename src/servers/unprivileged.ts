import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";

/** Users that systems and container images commonly have, in the order in which they are tried. */
const FALLBACK_USERS = ["postgres", "node", "nobody"] as const;
const TRY_TIME_LIMIT_MS = 5_000;

/** How to run a program that refuses to be root. */
export type Unprivileged =
  /** We are not root: run it as it is. */
  | { kind: "self" }
  /** In a user namespace of its own, where we are "nobody"; on disk the files stay root's. */
  | { kind: "namespace" }
  /** As this user of the system. */
  | { kind: "user"; name: string; uid: number; gid: number };

const NAMESPACE_PREFIX = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"] as const;

/** Chooses by trying: user namespaces are forbidden in some containers. Throws an Error where nothing works. */
export async function chooseUnprivileged(): Promise<Unprivileged> {
  if (process.getuid?.() !== 0) return { kind: "self" };
  if (await succeeds([...NAMESPACE_PREFIX, "true"])) return { kind: "namespace" };
  const passwd = await readFile("/etc/passwd", "utf8").catch(() => "");
  for (const name of FALLBACK_USERS) {
    const [, , uid, gid] =
      passwd
        .split("\n")
        .find((line) => line.startsWith(`${name}:`))
        ?.split(":") ?? [];
    if (Number(uid) > 0) return { kind: "user", name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    "Postgres does not run as root, and here there is neither a user namespace nor a user to run it as: " +
      "start Weir as another user, or set DATABASE_URL.",
  );
}

/** The command line that runs `command` so, and the user to spawn it as. */
export function asUnprivileged(
  how: Unprivileged,
  command: string,
  args: readonly string[],
): { command: string; args: string[]; user?: { uid: number; gid: number } } {
  if (how.kind === "namespace") {
    const [unshare, ...options] = NAMESPACE_PREFIX;
    return { command: unshare, args: [...options, command, ...args] };
  }
  if (how.kind === "user") return { command, args: [...args], user: { uid: how.uid, gid: how.gid } };
  return { command, args: [...args] };
}

function succeeds([command, ...args]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(command ?? "", args, { timeout: TRY_TIME_LIMIT_MS }, (error) => resolve(error === null));
  });
}
