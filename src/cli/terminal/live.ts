import { monotonicMs } from "../../kernel/clock.ts";
import { fitted } from "./style.ts";
import type { Surface } from "./surface.ts";

/** How often a person's screen is drawn anew, at most. */
const FRAME_MS = 100;

/**
 * A block of lines that is redrawn in place. On a terminal only: a pipe gets nothing from here, because a log full of
 * half-finished bars helps nobody.
 */
export class LiveBlock {
  readonly #surface: Surface;
  #height = 0;
  #drawnAt = -Infinity;

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  /** Draws when the last frame is old enough; `frame` is called only then. */
  draw(frame: () => readonly string[]): void {
    if (!this.#surface.interactive || monotonicMs() - this.#drawnAt < FRAME_MS) return;
    this.#paint(frame());
  }

  /** Draws a last time whatever the frame rate, and leaves the lines standing. */
  finish(frame: () => readonly string[]): void {
    if (!this.#surface.interactive) return;
    this.#paint(frame());
    this.#height = 0;
  }

  /** Takes the block off the screen. */
  clear(): void {
    if (!this.#surface.interactive || this.#height === 0) return;
    this.#surface.write(this.#home());
    this.#height = 0;
  }

  #paint(lines: readonly string[]): void {
    // A line that wrapped would count as two, and the next frame would begin too low.
    const fitting = lines.map((line) => fitted(line, this.#surface.columns - 1));
    this.#surface.write(`${this.#home()}${fitting.join("\n")}\n`);
    this.#height = lines.length;
    this.#drawnAt = monotonicMs();
  }

  /** To the block's first line, clearing from there to the end of the screen. */
  #home(): string {
    return this.#height > 0 ? `\u001b[${this.#height}A\r\u001b[0J` : "";
  }
}
