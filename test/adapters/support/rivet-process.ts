import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { httpPort } from "../../../src/adapters/http-port.ts";
import { killWith } from "../../support/kill-with.ts";
import { once, registryOf } from "./rivet-rooms.ts";

interface Setting {
  endpoint: string;
  weir: string;
  key: string;
  /** The actor key whose action stops half-way, once, until the process is killed. */
  hangs: string;
}

/** A process that serves the metered actors. */
export interface Runner {
  child: ChildProcess;
  /** Resolves once the action has stopped half-way. */
  halfway: Promise<void>;
}

export async function startRunner(setting: Setting): Promise<Runner> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(setting)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  killWith(child);
  const said = (word: string): Promise<void> =>
    new Promise((resolve, reject) => {
      child.stdout.on("data", (text: Buffer) => {
        if (text.toString().includes(word)) resolve();
      });
      child.once("exit", (code) => reject(new Error(`The runner ended with ${code}.`)));
    });
  const halfway = said("half-way");
  halfway.catch(() => undefined);
  await said("ready");
  return { child, halfway };
}

async function serve({ endpoint, weir, key, hangs }: Setting): Promise<void> {
  once.set(hangs, () => {
    process.stdout.write("half-way\n");
    return new Promise<void>(() => undefined);
  });
  await registryOf(endpoint, { meter: httpPort({ url: weir, key }) }).startAndWait();
  process.stdout.write("ready\n");
}

const [, script = "", setting] = process.argv;
if (script === fileURLToPath(import.meta.url) && setting) await serve(JSON.parse(setting) as Setting);
