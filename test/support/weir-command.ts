import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { monotonicMs } from "../../src/kernel/clock.ts";
import { killWith } from "./kill-with.ts";
import { ROOT } from "./tools.ts";

/** An orderly stop takes ten seconds at most; whoever takes three times that hangs. */
const STOP_TIME_LIMIT_MS = 30_000;

/** How a process ended that was told to. */
export interface Stop {
  ms: number;
  /** Null where a signal ended it: it had to be killed. */
  code: number | null;
}

/** One `weir serve` or `weir worker`, as an operator starts it. */
export class WeirCommand {
  /** Null of a worker, which serves nothing. */
  readonly url: string | null;
  readonly startedAt = monotonicMs();
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string | null) {
    this.#child = child;
    this.url = url;
  }

  /** Resolves when it says that it is ready. `said` gets the lines it writes to stderr. */
  static async start(args: readonly string[], env: NodeJS.ProcessEnv, said: (line: string) => void): Promise<WeirCommand> {
    const child = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    killWith(child);
    createInterface(child.stderr).on("line", said);
    for await (const line of createInterface(child.stdout)) {
      if (/is ready/.test(line)) return new WeirCommand(child, /ready at (\S+)/.exec(line)?.[1] ?? null);
    }
    throw new Error(`weir ${args.join(" ")} ended before it was ready`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** SIGTERM, and how it ended. */
  async stop(): Promise<Stop> {
    const from = monotonicMs();
    if (this.running) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      const late = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIME_LIMIT_MS);
      await ended;
      clearTimeout(late);
    }
    return { ms: monotonicMs() - from, code: this.#child.exitCode };
  }
}
