import { every, monotonicMs } from "../../kernel/clock.ts";
import { duration } from "./figures.ts";
import { LiveBlock } from "./live.ts";
import type { Surface } from "./surface.ts";

/** Who waits longer than this wants to know for what, milliseconds; what is quicker would only flicker. */
const PATIENCE_MS = 1_000;
/** How often the line is drawn anew, milliseconds. */
const TICK_MS = 250;

/** A line that says what a command is at, once it takes longer than a second: to a person, never to a pipe, and gone when it is over. */
export class Progress {
  readonly #block: LiveBlock;
  readonly #style: Surface["style"];
  readonly #elapsedMs: () => number;
  readonly #since: number;
  #text = "";
  #timer: NodeJS.Timeout | null = null;

  constructor(surface: Surface, elapsedMs: () => number = monotonicMs) {
    this.#block = new LiveBlock(surface);
    this.#style = surface.style;
    this.#elapsedMs = elapsedMs;
    this.#since = elapsedMs();
    // A clock that does not go on by itself is a test's: it ticks by hand.
    if (surface.interactive && elapsedMs === monotonicMs)
      this.#timer = every(
        TICK_MS,
        async () => this.tick(),
        () => this.stop(),
      );
  }

  /** What the command is at, from here on. */
  say(text: string): void {
    this.#text = text;
  }

  /** Draws the line where it is time to. */
  tick(): void {
    const ms = this.#elapsedMs() - this.#since;
    if (ms >= PATIENCE_MS && this.#text !== "") this.#block.draw(() => [this.#style.faint(`${this.#text} … ${duration(ms)}`)]);
  }

  /** Takes the line off the screen for good: something is written there, or the command draws for itself. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#text = "";
    this.#block.clear();
  }
}
