/** Reading something for a view: what was read, what went wrong, and reading it again. */
import { problemOf } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./lib.js";

/** @import { Problem } from "./types.ts" */

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | null} data What was read last; it stays while it is read again.
 * @property {Problem | null} problem
 * @property {boolean} loading
 * @property {() => void} reload
 */

/** Reads when `what` changes, and gives up the reading before; null reads nothing.
 * @template T
 * @param {string | null} what Names what is read.
 * @param {(signal: AbortSignal) => Promise<T>} read
 * @returns {Loaded<T>} */
export function useLoad(what, read) {
  const [found, setFound] = useState(
    /** @type {{ what: string | null, data: T | null, problem: Problem | null }} */ ({ what: null, data: null, problem: null }),
  );
  const [round, setRound] = useState(0);
  const [loading, setLoading] = useState(false);
  const reader = useRef(read);
  reader.current = read;
  useEffect(() => {
    if (what === null) return;
    const leave = new AbortController();
    setLoading(true);
    void reader
      .current(leave.signal)
      .then((data) => ({ what, data, problem: null }))
      .catch((error) => ({ what, data: null, problem: problemOf(error) }))
      .then((result) => {
        if (leave.signal.aborted) return;
        setFound((before) => (result.problem && before.what === what ? { ...result, data: before.data } : result));
        setLoading(false);
      });
    return () => leave.abort();
  }, [what, round]);
  const reload = useCallback(() => setRound((n) => n + 1), []);
  const current = found.what === what;
  return { data: current ? found.data : null, problem: current ? found.problem : null, loading: loading || !current, reload };
}

/** Doing something on a click: whether it is under way, and what went wrong.
 * @template {unknown[]} Args
 * @param {(...args: Args) => Promise<void>} act
 * @returns {{ run: (...args: Args) => Promise<void>, busy: boolean, problem: Problem | null, forget: () => void }} */
export function useAction(act) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
  const run = async (/** @type {Args} */ ...args) => {
    setBusy(true);
    setProblem(null);
    await act(...args).catch((error) => setProblem(problemOf(error)));
    setBusy(false);
  };
  return { run, busy, problem, forget: () => setProblem(null) };
}
