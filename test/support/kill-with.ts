import { spawn, type ChildProcess } from "node:child_process";

/** Ends `child` when this process ends, however it ends: the shell's `read` returns when our side of the pipe closes. */
export function killWith(child: ChildProcess): void {
  const watcher = spawn("/bin/sh", ["-c", 'read -r line; kill -s KILL "$0" 2>/dev/null', String(child.pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.on("error", () => {});
  watcher.unref();
  child.once("exit", () => watcher.kill("SIGKILL"));
}
