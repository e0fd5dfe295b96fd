/** What several views show at once, and who listens to it. */
import { useEffect, useState } from "./lib.js";

/** @import { Pricing, RecentDenial, Session, Usage } from "./types.ts" */

/**
 * @typedef {object} Shared
 * @property {"starting" | "signed-out" | "signed-in"} phase
 * @property {Session | null} session
 * @property {string | null} account The account that is shown.
 * @property {Usage | null} usage
 * @property {RecentDenial[]} denials
 * @property {"connecting" | "live" | "trouble"} line Whether figures move.
 * @property {string | null} trouble
 * @property {Pricing | null} pricing
 */

/** @type {Shared} */
let shared = {
  phase: "starting",
  session: null,
  account: null,
  usage: null,
  denials: [],
  line: "connecting",
  trouble: null,
  pricing: null,
};
const listeners = /** @type {Set<(state: Shared) => void>} */ (new Set());

export const state = () => shared;

/** @param {Partial<Shared>} change */
export function change(change) {
  shared = { ...shared, ...change };
  for (const listener of listeners) listener(shared);
}

/** A part of what is shared, anew when it changes.
 * @template {keyof Shared} Name
 * @param {Name} name
 * @returns {Shared[Name]} */
export function useShared(name) {
  const [value, setValue] = useState(shared[name]);
  useEffect(() => {
    const listener = (/** @type {Shared} */ now) => setValue(() => now[name]);
    listener(shared);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, [name]);
  return value;
}

/** Whether this session's key may change things. */
export const mayWrite = () => shared.session?.scope === "account" || shared.session?.scope === "admin";

/** Whether the key is an operator's. */
export const isOperator = () => shared.session?.scope === "admin";
