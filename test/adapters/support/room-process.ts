import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:http2";
import { fileURLToPath } from "node:url";
import * as restate from "@restatedev/restate-sdk";
import { httpPort } from "../../../src/adapters/http-port.ts";
import { restateMeter } from "../../../src/adapters/restate/restate.ts";
import { killWith } from "../../support/kill-with.ts";

interface Setting {
  port: number;
  /** Stop half-way, until the process is killed. */
  hangs: boolean;
  weir: string;
  key: string;
  admin: string;
}

/** A process that serves one metered Virtual Object; resolves once it listens. */
export async function startRoomProcess(setting: Setting): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(setting)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  killWith(child);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", (code) => reject(new Error(`The room's process ended with ${code}.`)));
  });
  return child;
}

async function serve({ port, hangs, weir, key, admin }: Setting): Promise<void> {
  const meter = restateMeter({
    meter: httpPort({ url: weir, key }),
    TerminalError: restate.TerminalError,
    account: (call) => call.key.split("/", 1)[0] ?? "",
    service: "rooms",
    adminUrl: admin,
    duration: false,
  });
  const room = restate.object({
    name: "ProcessRoom",
    options: { retryPolicy: { initialInterval: 20, maxInterval: 100 } },
    handlers: {
      halfway: meter.handler(async (ctx: restate.ObjectContext) => {
        ctx.set("a", 1);
        ctx.set("b", 2);
        await ctx.get("a");
        await ctx.run("sent", () => true);
        if (hangs) await new Promise(() => undefined);
        ctx.set("c", 3);
      }),
    },
  });
  const server = createServer(
    restate
      .endpoint()
      .setLogger(() => undefined)
      .bind(room)
      .http2Handler(),
  );
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  process.stdout.write("ready\n");
}

const [, script = "", setting] = process.argv;
if (script === fileURLToPath(import.meta.url) && setting) await serve(JSON.parse(setting) as Setting);
