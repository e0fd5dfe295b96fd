import { fork, type ChildProcess } from "node:child_process";
import type { Bench } from "../bench.ts";
import type { Sample } from "../rounds.ts";
import type { Load } from "./load.ts";

type Answer = { sample: Sample } | { error: string };

/** Starts the process that sends the load; one load at a time. */
export function startLoader(bench: Bench): (load: Load) => Promise<Sample> {
  const child = fork(new URL("load.ts", import.meta.url).pathname);
  bench.closers.push(() => void child.kill());
  return (load) => carried(child, load);
}

function carried(child: ChildProcess, load: Load): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const exited = (): void => reject(new Error("the load's process ended"));
    child.once("exit", exited);
    child.once("message", (answer: Answer) => {
      child.off("exit", exited);
      if ("sample" in answer) resolve(answer.sample);
      else reject(new Error(answer.error));
    });
    child.send(load);
  });
}
