import { join } from "node:path";
import { freePort } from "../../../src/servers/process.ts";
import { SupervisedServer } from "../../../src/servers/supervised.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { binaryOf } from "./binary.ts";

const READY_TIME_LIMIT_MS = 30_000;
const STOP_TIME_LIMIT_MS = 10_000;
/** A first start on a machine that has just given its ports away is tried again. */
const PORT_TRIES = 3;

/**
 * How long the engine waits for a runner that has gone quiet. At 2 s a runner that is merely slow is taken for lost on a busy machine: its actors are
 * woken elsewhere, and Rivet's client sends the action under way again, which then has run twice.
 */
const RUNNER_LOST_AFTER_MS = 60_000;

/** A Rivet engine of its own. Killed, it is started again on the same ports with the same data. */
export interface RivetEngine {
  endpoint: string;
  /** Ends it as a crash does, and resolves once it is back. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** `runnerLostAfterMs`: short where a test kills runners and waits for their actors to wake. */
export async function startRivetEngine({ runnerLostAfterMs = RUNNER_LOST_AFTER_MS } = {}): Promise<RivetEngine> {
  const dir = tempDir("rivet");
  let restarted: () => void = () => undefined;
  for (let tries = 1; ; tries++) {
    const [guard, peer, metrics] = await Promise.all([freePort(), freePort(), freePort()]);
    const endpoint = `http://127.0.0.1:${guard}`;
    const server = new SupervisedServer(
      {
        name: "Rivet",
        command: binaryOf("@rivetkit/engine-cli", "rivet-engine"),
        args: ["start"],
        cwd: dir.path,
        env: {
          ...process.env,
          RIVET__FILE_SYSTEM__PATH: join(dir.path, "data"),
          RIVET__GUARD__HOST: "127.0.0.1",
          RIVET__GUARD__PORT: String(guard),
          RIVET__API_PEER__HOST: "127.0.0.1",
          RIVET__API_PEER__PORT: String(peer),
          RIVET__METRICS__HOST: "127.0.0.1",
          RIVET__METRICS__PORT: String(metrics),
          // On a busy machine the engine takes in no new actors, by the load it sees; a thousand cores are never busy.
          RIVET__RUNTIME__WORKER_CPU_MAX: "1000000",
          RIVET__PEGBOARD__ENVOY_LOST_THRESHOLD: String(runnerLostAfterMs),
          RIVET__TELEMETRY__ENABLED: "false",
          RUST_LOG: "error",
        },
        logFile: join(dir.path, "engine.log"),
        isReady: () =>
          fetch(`${endpoint}/health`).then(
            ({ ok }) => ok,
            () => false,
          ),
        readyTimeLimitMs: READY_TIME_LIMIT_MS,
        stopSignal: "SIGTERM",
        stopTimeLimitMs: STOP_TIME_LIMIT_MS,
      },
      { onRestart: () => restarted() },
    );
    try {
      await server.start();
      return {
        endpoint,
        crash: () => {
          const back = new Promise<void>((resolve) => (restarted = resolve));
          server.kill("SIGKILL");
          return back;
        },
        stop: async () => {
          await server.stop();
          dir.remove();
        },
      };
    } catch (error) {
      if (tries === PORT_TRIES) throw error;
    }
  }
}
