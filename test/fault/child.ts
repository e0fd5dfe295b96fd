import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { killWith } from "../support/kill-with.ts";

const PROGRAM = fileURLToPath(new URL("./weir-process.ts", import.meta.url));
/** Start-up compiles the HTTP schemas: about a second of a busy core. */
const START_TIME_LIMIT_MS = 30_000;
const CALL_TIME_LIMIT_MS = 20_000;

/** What a Weir process of the harness is told when it starts. */
export interface ChildOptions {
  role: "api" | "worker";
  databaseUrl: string;
  redisUrl: string;
  dataDir: string;
  adminKey: string;
  /** Where its clock stands, epoch ms; it runs on from there. */
  clock: number;
}

/** A message to the process; it answers every one with the same `id`. */
export type Order = { kind: "clock"; at: number } | { kind: "book" };
export type Call = { id: number; order: Order };
export type Answer = { id: number; error: string | null; dirty: number };
export type Hello = { port: number };

/** One running API or worker process. */
export class WeirProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
    child.on("message", (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  /** Starts one and waits until it serves. `log` gets the lines it writes to stderr. */
  static async start(options: ChildOptions, log: (line: string) => void): Promise<WeirProcess> {
    const child = fork(PROGRAM, [JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    killWith(child);
    let tail = "";
    child.stderr?.on("data", (bytes: Buffer) => {
      tail = (tail + bytes.toString()).slice(-2_000);
      for (const line of bytes.toString().trimEnd().split("\n")) log(`${options.role} ${child.pid}: ${line}`);
    });
    const port = await new Promise<number>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`The ${options.role} process did not start in time. ${tail}`)), START_TIME_LIMIT_MS);
      child.once("message", (hello: Hello) => {
        clearTimeout(late);
        resolve(hello.port);
      });
      child.once("exit", (code) => {
        clearTimeout(late);
        reject(new Error(`The ${options.role} process ended with ${code}. ${tail}`));
      });
    });
    return new WeirProcess(child, port);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends SIGKILL and waits for the end. */
  async kill(): Promise<void> {
    if (!this.running) return;
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.kill("SIGKILL");
    await ended;
  }

  /** Gives an order; rejects when it failed or the process is gone. Answers how many accounts are not booked yet. */
  order(order: Order): Promise<number> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Process ${this.pid} did not answer ${order.kind} in time`)), CALL_TIME_LIMIT_MS);
      this.#waiting.set(id, ({ error, dirty }) => {
        clearTimeout(late);
        if (error === null) resolve(dirty);
        else reject(new Error(error));
      });
      const call: Call = { id, order };
      this.#child.send(call, (error) => {
        if (!error) return;
        clearTimeout(late);
        reject(error);
      });
    });
  }
}
