import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PaymentOptions } from "../../src/payments/open-adapter.ts";
import type { RollUpStep } from "../../src/ledger/roll-up.ts";
import type { RedisAddress } from "../../src/stores/redis-servers.ts";
import { killWith } from "./kill-with.ts";

const PROGRAM = fileURLToPath(new URL("./engine-process.ts", import.meta.url));

export interface ProcessOptions {
  databaseUrl: string;
  redisUrl: RedisAddress;
  redisPrefix: string;
  /** Where its clock stands, epoch ms. */
  now: number;
  /** Accounts that are spread, and over how many slots. */
  hotAccounts?: [account: string, slots: number][];
  /** Nobody collects unless told. */
  payments?: PaymentOptions;
}

/** What the process is told to do; it answers each with `done`, `failed`, or, where it stops half way, `stopped`. */
export type ProcessOrder =
  | { kind: "use"; account: string; meter: string; times: number }
  | { kind: "roll up"; account: string; stopAt: RollUpStep | null }
  | { kind: "deliver" | "hand over" | "tell usage" };
export type ProcessAnswer = { kind: "ready" | "stopped" } | { kind: "done"; allowed: number } | { kind: "failed"; error: string };

/** A process with an engine of its own. One order at a time. */
export class EngineProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(options: ProcessOptions): Promise<EngineProcess> {
    const child = fork(PROGRAM, [JSON.stringify(options)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    killWith(child);
    const started = new EngineProcess(child);
    await started.#next();
    return started;
  }

  /** Resolves with the answer; rejects when the process failed or ended. */
  order(order: ProcessOrder): Promise<ProcessAnswer> {
    const answer = this.#next();
    this.#child.send(order);
    return answer;
  }

  /** Sends SIGKILL and waits for the end. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.kill("SIGKILL");
    await ended;
  }

  #next(): Promise<ProcessAnswer> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error("the process has ended"));
      this.#child.once("exit", ended);
      this.#child.once("message", (answer: ProcessAnswer) => {
        this.#child.off("exit", ended);
        if (answer.kind === "failed") reject(new Error(answer.error));
        else resolve(answer);
      });
    });
  }
}
