import * as restate from "@restatedev/restate-sdk";
import { restateMeter, type RestateMeterOptions } from "../../../src/adapters/restate/restate.ts";
import type { Subject } from "../../conformance/run.ts";
import type { Outcome, Step } from "../../conformance/vectors.ts";
import type { RestateServer } from "./restate-server.ts";
import type { Weir } from "./weir.ts";

/** Objects of these tests are keyed `<account>/<name>`: the key says who pays. */
export const payer: RestateMeterOptions["account"] = ({ key }) => key.split("/", 1)[0] ?? "";

/** A Virtual Object that does one step of a vector in each call. */
export function vectorObject(name: string, options: RestateMeterOptions): ReturnType<typeof build> {
  return build(name, restateMeter(options));
}

const build = (name: string, meter: ReturnType<typeof restateMeter>) =>
  restate.object({
    name,
    handlers: {
      put: meter.handler(async (ctx: restate.ObjectContext, { key, value }: { key: string; value: string }) => {
        ctx.set(key, value);
      }),
      get: meter.handler(async (ctx: restate.ObjectContext, key: string) => ctx.get<string>(key)),
      remove: meter.handler(async (ctx: restate.ObjectContext, key: string) => {
        ctx.clear(key);
      }),
      clear: meter.handler(async (ctx: restate.ObjectContext) => {
        ctx.clearAll();
      }),
      keys: meter.handler(async (ctx: restate.ObjectContext) => ctx.stateKeys()),
    },
  });

/** A fresh object of a fresh account under that Virtual Object. */
export async function restateSubject(weir: Weir, server: RestateServer, service: string): Promise<Subject> {
  const account = await weir.newAccount("free");
  const object = `${account}/room`;
  const holds = async (key: string): Promise<string | null> => {
    const rows = await server.sql(
      `SELECT value_utf8 FROM state WHERE service_name = '${service}' AND service_key = '${object}' AND key = '${key}'`,
    );
    return rows[0] ? (JSON.parse(String(rows[0]["value_utf8"])) as string) : null;
  };
  const call = async (handler: string, input?: unknown): Promise<[Outcome, unknown]> => {
    const { status, body } = await server.call(service, object, handler, input);
    if (status === 429) return ["denied", null];
    if (status !== 200 && status !== 204) throw new Error(`${handler}: ${status} ${JSON.stringify(body)}`);
    return ["ok", body];
  };
  const perform = async (step: Step): Promise<Outcome> => {
    switch (step.do) {
      case "put":
        return (await call("put", { key: step.key, value: step.value }))[0];
      case "get": {
        const [outcome, value] = await call("get", step.key);
        return outcome === "ok" && value === null ? "missing" : outcome;
      }
      case "delete": {
        // Restate's own clear does not tell whether there was anything.
        const there = await holds(step.key);
        const [outcome] = await call("remove", step.key);
        return outcome === "ok" && there === null ? "missing" : outcome;
      }
      case "clear":
        return (await call("clear"))[0];
      case "keys":
        return (await call("keys"))[0];
      default:
        throw new Error(`Restate's state has no ${step.do}`);
    }
  };
  return {
    perform,
    holds,
    counted: async () => (await weir.engine.usage(account)).usage.meters.day,
    cap: (meter, value) => weir.cap(account, meter, "day", value),
  };
}
