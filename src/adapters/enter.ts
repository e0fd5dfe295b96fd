import type { MeteredCall } from "./metered-call.ts";

/** What operations count into. */
export type Counting = Pick<MeteredCall, "read" | "reach" | "afford" | "unspend" | "pending">;

/** For what is not to be counted. */
export const UNMETERED: Counting = {
  read: (reading) => reading,
  reach: () => Promise.resolve(),
  afford: () => Promise.resolve(),
  unspend: () => undefined,
  pending: () => null,
};

/** Gives an operation the call it is counted in: the action's (then `leave` does nothing), or one of its own. */
export type EnterCall = () => Promise<{ call: Counting; leave: () => Promise<void> }>;

/** Does one operation within the call that it is counted in. */
export async function within<T>(enter: EnterCall, work: (call: Counting) => Promise<T>): Promise<T> {
  const { call, leave } = await enter();
  try {
    return await work(call);
  } finally {
    await leave();
  }
}
