import { AsyncLocalStorage } from "node:async_hooks";

/** On whose behalf something runs: whoever sent the request. */
export interface Caller {
  /** The one account whose rows it may touch; null for the operator, who may touch all. */
  account: string | null;
  /** The key's id and scope. */
  actor: string;
  scope: string;
  /** What was asked for: the operation's name in the OpenAPI document. */
  operation: string;
  /** It may change something, and is then named in the audit log. */
  changes: boolean;
  /** When it was asked, epoch ms. */
  at: number;
  /** The request was answered: what still runs because of it, runs on the house's behalf. */
  answered: boolean;
}

const storage = new AsyncLocalStorage<Caller | null>();

/** Runs `work`, and all that it starts, on the caller's behalf. */
export const onBehalfOf = <T>(caller: Caller, work: () => T): T => storage.run(caller, work);

/** Runs `work` on the house's own behalf, although a request happened to start it: what serves more requests than that one. */
export const onOwnBehalf = <T>(work: () => T): T => storage.run(null, work);

/** On whose behalf this runs; null for the house's own. */
export function currentCaller(): Caller | null {
  const caller = storage.getStore();
  return caller === undefined || caller === null || caller.answered ? null : caller;
}
