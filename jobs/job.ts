import type { Engine } from "../src/engine.ts";

/** What a job is: when it is rung, and the one call it makes. No payload: what is due is found, not told. */
export interface Job {
  name: string;
  /** Rung this often, milliseconds. */
  everyMs: number;
  run(engine: Engine): Promise<void>;
}
