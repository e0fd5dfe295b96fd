import { guarded, jsonBytes } from "./guarded.ts";
import type { MeteredCall } from "./metered-call.ts";

/** What is known of an object's state between the call that changed it and the runtime's word of the change. */
export interface StateCount {
  /** Measures the state, as JSON, once a call has changed it: the size of an object without a database. */
  size: () => number | null;
  /** The change that the runtime will announce has been counted in the call that made it. */
  counted: boolean;
}

/**
 * The member `state` of `holder` as `call` may have it: its first change counts as a row, before it is made, and the state is held to the size of
 * one write. A throw there leaves the state as it is.
 */
export function countedState(holder: { state: object }, call: MeteredCall, count: StateCount): { state: object } {
  const before = guardOf(holder, call, count);
  let state: object | null = null;
  return {
    get state() {
      return (state ??= guarded(holder.state, before));
    },
    set state(value: object) {
      before(jsonBytes(value) - jsonBytes(holder.state));
      holder.state = value;
      state = null;
    },
  };
}

function guardOf(holder: { state: object }, call: MeteredCall, count: StateCount): (growthBytes: number) => void {
  let [bytes, changed] = [-1, false];
  return (growthBytes) => {
    // What happens after the call is found out when the runtime announces the change.
    if (call.over) return;
    if (bytes === -1) bytes = jsonBytes(holder.state);
    call.fits(bytes + growthBytes);
    call.spend(changed ? {} : { operations: 1, rowsWritten: 1 }, growthBytes);
    [bytes, changed] = [bytes + growthBytes, true];
    count.size = () => jsonBytes(holder.state);
    count.counted = true;
  };
}
