/** Time as the server has it: countdowns then agree with the limits, whatever this machine's clock says. */
import { useEffect, useState } from "./lib.js";

const TICK_MS = 1_000;

/** Server time less `performance.now()`, milliseconds; null until the server has said what time it is. */
let offset = /** @type {number | null} */ (null);
const listeners = /** @type {Set<() => void>} */ (new Set());
let timer = 0;

/** Takes the server's time from an answer's `asOf`.
 * @param {string} instant */
export function heardTime(instant) {
  const at = Date.parse(instant);
  if (!Number.isNaN(at)) offset = at - performance.now();
}

/** Epoch milliseconds. */
export const serverNow = () => (offset ?? performance.timeOrigin) + performance.now();

/** The server's time, anew each second while the page is seen. */
export function useNow() {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const listener = () => setNow(serverNow());
    listeners.add(listener);
    if (listeners.size === 1) timer = setInterval(tick, TICK_MS);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) clearInterval(timer);
    };
  }, []);
  return now;
}

function tick() {
  if (document.hidden) return;
  for (const listener of listeners) listener();
}

/** Resolves after `ms`, or at once when `signal` fires.
 * @param {number} ms
 * @param {AbortSignal} [signal] */
export function pause(ms, signal) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(id);
        resolve();
      };
      const id = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    })
  );
}
