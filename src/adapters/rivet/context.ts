import type { MeteredCall } from "../metered-call.ts";
import type { EnterCall } from "./enter.ts";
import { guarded, jsonBytes } from "./state.ts";
import { counted, SURFACES } from "./surfaces.ts";
import type { ActorName, Wake } from "./wake.ts";

/** What is used of an actor's context. */
export interface Context extends ActorName {
  state: object;
  db: { transaction(callback: unknown, options?: { experimental?: { includeState?: boolean } }): Promise<unknown> };
  [member: string]: unknown;
}

/** What handlers see: the actor's context, with what is counted in `call`, or, with null, in a call of its own for every operation. */
export function meteredContext(c: Context, wake: Wake, call: MeteredCall | null): Context {
  const enter: EnterCall = () => (call && !call.over ? Promise.resolve({ call, leave: () => Promise.resolve() }) : wake.enterAlone());
  const made = new Map<string, unknown>();
  const once = (name: string, make: () => unknown): unknown => {
    if (!made.has(name)) made.set(name, make());
    return made.get(name);
  };
  const before = call ? stateGuard(wake, call, c) : null;
  return new Proxy(c, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      const table = typeof name === "string" ? SURFACES[name] : undefined;
      if (table) return once(String(name), () => counted(member as Parameters<typeof counted>[0], table, enter));
      if (name === "state" && before) return once("state", () => guarded(target.state, before));
      if (name === "db") return once("db", () => withoutStateTransactions(member as Context["db"]));
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
    set: (target, name, value) => {
      if (name === "state" && before) {
        before(jsonBytes(value) - jsonBytes(target.state));
        made.delete("state");
      }
      return Reflect.set(target, name, value, target);
    },
  });
}

/** Counts a call's first change of state as a row, before it is made, and holds the state to the size of one write. */
function stateGuard(wake: Wake, call: MeteredCall, c: Context): (growthBytes: number) => void {
  let [bytes, changed] = [-1, false];
  return (growthBytes) => {
    // What happens after the action is found out when Rivet announces the change.
    if (call.over) return;
    if (bytes === -1) bytes = jsonBytes(c.state);
    call.fits(bytes + growthBytes);
    call.spend(changed ? {} : { operations: 1, rowsWritten: 1 }, growthBytes);
    [bytes, changed] = [bytes + growthBytes, true];
    wake.stateSize = () => jsonBytes(c.state);
    wake.stateCounted = true;
  };
}

function withoutStateTransactions(db: Context["db"]): Context["db"] {
  return new Proxy(db, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        const options = args[1] as { experimental?: { includeState?: boolean } } | undefined;
        if (name === "transaction" && options?.experimental?.includeState) {
          throw new TypeError("A transaction that includes the state passes the meter by: change the state beside it.");
        }
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
}
