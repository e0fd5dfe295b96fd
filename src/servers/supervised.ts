import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { monotonicMs, sleep } from "../kernel/clock.ts";

const READY_POLL_MS = 15;
/** The wait before a dead server is started again doubles from the first to the second. */
const RESTART_WAIT_FIRST_MS = 100;
const RESTART_WAIT_MAX_MS = 10_000;
const LOG_TAIL_LINES = 6;

/** How to start one server and how to know it. */
export interface ServerSpec {
  /** As people call it: "Postgres". */
  name: string;
  command: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Where its stdout and stderr go. */
  logFile: string;
  /** System user to run as; left out: our own. */
  user?: { uid: number; gid: number };
  /** Asked every 15 ms until it says yes. */
  isReady(child: ChildProcess): Promise<boolean>;
  /** After a crash, a big log to replay takes its time; past this the start has failed. */
  readyTimeLimitMs: number;
  /** What stops it in order. */
  stopSignal: NodeJS.Signals;
  /** How long it may take to stop before it is killed. */
  stopTimeLimitMs: number;
}

/** A server that ended without being told to. */
export interface ServerDeath {
  name: string;
  pid: number;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last lines of its log. */
  tail: string;
}

export interface ServerEvents {
  /** Called when the server dies by itself; a new one is started after this returns. */
  onDeath?: ((death: ServerDeath) => void) | undefined;
  /** Called when it is back. */
  onRestart?: ((pid: number) => void) | undefined;
}

/**
 * One child process that is kept alive until `stop`. It runs in a session of its own, so Ctrl-C in the terminal
 * reaches Weir alone, which drains first. A watcher (`sh`, blocked on a pipe from us) stops it when we end by SIGKILL.
 */
export class SupervisedServer {
  readonly #spec: ServerSpec;
  readonly #events: ServerEvents;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #watcher: ChildProcess | null = null;
  #restarting: Promise<void> = Promise.resolve();

  constructor(spec: ServerSpec, events: ServerEvents = {}) {
    this.#spec = spec;
    this.#events = events;
  }

  /** The process now running; null while it is down. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts it and waits until it answers. Throws an Error with the end of its log when it does not. */
  async start(): Promise<void> {
    const child = await this.#spawn();
    try {
      await this.#untilReady(child);
    } catch (error) {
      await this.#end(child);
      throw error;
    }
    if (this.#stopping.signal.aborted) return this.#end(child);
    child.once("exit", (code, signal) => this.#died(child, code, signal));
    if (hasEnded(child)) this.#died(child, child.exitCode, child.signalCode);
  }

  /** Stops it in order; kills it when that takes longer than its limit. May be called twice. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#restarting;
    if (this.#child) await this.#end(this.#child);
  }

  /** For tests of crashes: sends `signal` to the process as it is; supervision goes on. */
  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async #spawn(): Promise<ChildProcess> {
    const { command, args, cwd, env, user, name, stopSignal, logFile } = this.#spec;
    const log = await open(logFile, "a", 0o600);
    try {
      const child = spawn(command, args, { cwd, env, ...user, detached: true, stdio: ["ignore", log.fd, log.fd] });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", (error) => reject(new Error(`${name} did not start: ${error.message}`)));
      });
      this.#child = child;
      this.#watcher = watch(child, stopSignal);
      return child;
    } finally {
      await log.close();
    }
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const { name, readyTimeLimitMs } = this.#spec;
    const deadline = monotonicMs() + readyTimeLimitMs;
    while (!this.#stopping.signal.aborted) {
      if (hasEnded(child)) throw new Error(`${name} ended while starting:\n${await this.#tail()}`);
      if (await this.#spec.isReady(child)) return;
      if (monotonicMs() > deadline) throw new Error(`${name} did not answer within ${readyTimeLimitMs} ms:\n${await this.#tail()}`);
      await sleep(READY_POLL_MS, this.#stopping.signal);
    }
  }

  #died(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child || this.#stopping.signal.aborted) return;
    this.#forget();
    this.#restarting = this.#tail().then((tail) => {
      this.#events.onDeath?.({ name: this.#spec.name, pid: child.pid ?? 0, code, signal, tail });
      return this.#restart();
    });
  }

  async #restart(): Promise<void> {
    const { signal } = this.#stopping;
    for (let wait = RESTART_WAIT_FIRST_MS; !signal.aborted; wait = Math.min(wait * 2, RESTART_WAIT_MAX_MS)) {
      await sleep(wait, signal);
      if (signal.aborted) return;
      const failure = await this.start().then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      if (failure === null && this.pid !== null) return this.#events.onRestart?.(this.pid);
      if (failure !== null) this.#events.onDeath?.({ name: this.#spec.name, pid: 0, code: null, signal: null, tail: failure });
    }
  }

  async #end(child: ChildProcess): Promise<void> {
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    if (!hasEnded(child)) {
      child.kill(this.#spec.stopSignal);
      const limit = new AbortController();
      await Promise.race([ended.then(() => limit.abort()), sleep(this.#spec.stopTimeLimitMs, limit.signal)]);
      if (!hasEnded(child)) {
        child.kill("SIGKILL");
        await ended;
      }
    }
    this.#forget();
  }

  /** The watcher goes with its server: a pid it still held could be given to a stranger. */
  #forget(): void {
    this.#watcher?.kill("SIGKILL");
    this.#watcher = null;
    this.#child = null;
  }

  async #tail(): Promise<string> {
    const text = await readFile(this.#spec.logFile, "utf8").catch(() => "");
    return text.trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** `read` returns when our end of the pipe closes, which the kernel does however we end. */
function watch(child: ChildProcess, signal: NodeJS.Signals): ChildProcess {
  const script = 'read -r line; kill -s "$0" "$1" 2>/dev/null';
  const watcher = spawn("/bin/sh", ["-c", script, signal.replace(/^SIG/, ""), String(child.pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without a shell there is no watcher: the next start still reaps by pid file.
  watcher.on("error", () => {});
  watcher.stdin?.on("error", () => {});
  return watcher;
}
