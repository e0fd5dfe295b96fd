import { expect, test } from "vitest";
import { Progress } from "../../src/cli/terminal/progress.ts";
import { surface, type Surface } from "../../src/cli/terminal/surface.ts";

/** A progress whose second hand is moved by the test. */
function waiting(isTTY: boolean): { progress: Progress; after: (ms: number) => string } {
  let [ms, drawn] = [0, ""];
  const screen: Surface = surface({ write: (text: string) => void (drawn += text), isTTY, columns: 80 }, { NO_COLOR: "1" });
  const progress = new Progress(screen, () => ms);
  return {
    progress,
    after: (at) => {
      [ms, drawn] = [at, ""];
      progress.tick();
      return drawn;
    },
  };
}

test("nothing is said within a second, then what the command is at", () => {
  const { progress, after } = waiting(true);
  progress.say("asking http://127.0.0.1:8787");
  expect(after(999)).toBe("");
  expect(after(1_000)).toBe("asking http://127.0.0.1:8787 … 1 s\n");
});

test("the line goes when the command is over, and does not come back", () => {
  const { progress, after } = waiting(true);
  progress.say("migrating");
  after(2_000);
  progress.stop();
  expect(after(3_000)).toBe("");
});

test("a pipe is told nothing", () => {
  const { progress, after } = waiting(false);
  progress.say("migrating");
  expect(after(60_000)).toBe("");
});
