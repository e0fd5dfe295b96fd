import { monotonicMs } from "../../kernel/clock.ts";

/** The shell's convention for a program ended by SIGINT. */
const EXIT_INTERRUPTED = 130;

/** One Ctrl-C arrives up to three times: from the terminal, from npx and from the launcher. Only a later one is a second wish. */
const SAME_SIGNAL_MS = 1_000;

/** Ctrl-C as a wish to end well: the first one aborts `signal`, the second one ends the process. Call `release` when done. */
export function untilInterrupted(onFirst: () => void): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  let firstAt = 0;
  const handler = (): void => {
    if (controller.signal.aborted) {
      if (monotonicMs() - firstAt > SAME_SIGNAL_MS) process.exit(EXIT_INTERRUPTED);
      return;
    }
    firstAt = monotonicMs();
    controller.abort();
    onFirst();
  };
  process.on("SIGINT", handler);
  process.on("SIGTERM", handler);
  return {
    signal: controller.signal,
    release: () => {
      process.off("SIGINT", handler);
      process.off("SIGTERM", handler);
    },
  };
}
