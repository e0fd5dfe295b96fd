import { InvocationError, registerWorker, type IIIClient } from "iii-sdk";
import { iiiMeter } from "../../../src/adapters/iii/iii.ts";
import { startIiiEngine, type IiiEngine } from "./iii-engine.ts";
import type { Weir } from "./weir.ts";

/** The engine that `III_ENGINE_URL` names; undefined for the stand-in. */
export const REAL_ENGINE = process.env["III_ENGINE_URL"];

/** A client that is wrapped, or a listener whose calls all go through a middleware: a real engine has its listeners by its configuration. */
export type Way = "wrapper" | "middleware";
export const WAYS: readonly Way[] = REAL_ENGINE === undefined ? ["wrapper", "middleware"] : ["wrapper"];

const MIDDLEWARE = "weir::meter";
const QUIET = { enableMetricsReporting: false, otel: { enabled: false } };

/** iii, with the real SDK: scopes are named `<account>/…`, and the account pays. */
export interface IiiRuntime {
  /** The client whose state operations are metered that way. One way at a time. */
  client(way: Way): IIIClient;
  /** A client beside every meter. */
  plain: IIIClient;
  /** The stand-in; null for a real engine. */
  standIn: IiiEngine | null;
  /** What is stored, read beside every meter; null for nothing. */
  stored(scope: string, key: string): Promise<unknown>;
  stop(): Promise<void>;
}

export async function openIii(weir: Weir): Promise<IiiRuntime> {
  const standIn = REAL_ENGINE === undefined ? await startIiiEngine() : null;
  const url = REAL_ENGINE ?? standIn?.url ?? "";
  const workers: IIIClient[] = [];
  const connect = (): IIIClient => {
    const worker = registerWorker(url, QUIET);
    workers.push(worker);
    return worker;
  };
  const account = ({ scope }: { scope: string }): string => scope.split("/", 1)[0] ?? "";
  const meter = iiiMeter({ meter: weir.meter, InvocationError, account, service: "workers" });
  const plain = connect();
  const wrapped = meter.client(plain);
  const guard = connect();
  if (standIn) {
    guard.registerFunction(MIDDLEWARE, meter.middleware(guard));
    // Once a call has come back, what was registered before it is known.
    await guard.trigger({ function_id: "state::list_groups", payload: {} });
  }
  const guarded = connect();
  const go = (middleware: string | null): void => {
    if (standIn) standIn.middleware = middleware;
  };
  return {
    plain,
    standIn,
    client: (way) => {
      go(way === "middleware" ? MIDDLEWARE : null);
      return way === "middleware" ? guarded : wrapped;
    },
    stored: async (scope, key) => {
      const before = standIn?.middleware ?? null;
      go(null);
      try {
        return (await plain.trigger({ function_id: "state::get", payload: { scope, key } })) ?? null;
      } finally {
        go(before);
      }
    },
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.shutdown()));
      await standIn?.stop();
    },
  };
}
