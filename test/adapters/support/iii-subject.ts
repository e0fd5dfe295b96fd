import { InvocationError } from "iii-sdk";
import { expect } from "vitest";
import type { Subject } from "../../conformance/run.ts";
import type { Outcome, Step } from "../../conformance/vectors.ts";
import type { IiiRuntime, Way } from "./iii-runtime.ts";
import type { Weir } from "./weir.ts";

/** A fresh scope of a fresh account: an object is a scope, and its keys are the scope's. */
export async function iiiSubject(weir: Weir, iii: IiiRuntime, way: Way): Promise<Subject> {
  const account = await weir.newAccount("free");
  const scope = `${account}/room`;
  const client = iii.client(way);
  /** Done, or refused by a limit: anything else is a fault. */
  const call = async (operation: string, payload: object): Promise<[Outcome, unknown]> => {
    try {
      return ["ok", await client.trigger({ function_id: `state::${operation}`, payload: { scope, ...payload } })];
    } catch (error) {
      expect(error).toBeInstanceOf(InvocationError);
      expect((error as InvocationError).message).toContain("limit_exceeded: ");
      return ["denied", null];
    }
  };
  const foundOr = ([outcome, value]: [Outcome, unknown]): Outcome =>
    outcome === "ok" && (value === null || value === undefined) ? "missing" : outcome;
  const perform = async (step: Step): Promise<Outcome> => {
    switch (step.do) {
      case "put":
        return (await call("set", { key: step.key, value: step.value }))[0];
      case "get":
        return foundOr(await call("get", { key: step.key }));
      case "delete":
        return foundOr(await call("delete", { key: step.key }));
      case "keys":
        return (await call("list", {}))[0];
      default:
        throw new Error(`iii has no ${step.do}`);
    }
  };
  return {
    perform,
    counted: async () => (await weir.engine.usage(account)).usage.meters.day,
    cap: (meter, value) => weir.cap(account, meter, "day", value),
    holds: async (key) => (await iii.stored(scope, key)) as string | null,
  };
}
