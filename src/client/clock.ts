/** Time for the SDK: the only file of it that reads a clock or sets a timer. */
export interface ClientClock {
  /** Milliseconds on a clock that is never set and runs on while nothing else does. */
  now(): number;
  /** Calls back once, after `ms`; answers how to stop it. */
  after(ms: number, work: () => void): () => void;
  /** Calls back every `ms`, without keeping the process alive. */
  every(ms: number, work: () => void): () => void;
}

export const systemClock: ClientClock = {
  now: () => performance.now(),
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
  every: (ms, work) => {
    const timer: unknown = setInterval(work, ms);
    // Node's keep a process alive until they are told not to; those of a browser or a worker are numbers.
    if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") timer.unref();
    return () => clearInterval(timer as Parameters<typeof clearInterval>[0]);
  },
};
