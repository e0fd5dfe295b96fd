import type { Bounds, Mutation } from "./state.ts";

export interface Scene {
  name: string;
  bounds: Bounds;
  /** What is broken in turn in this scene, and must be seen. */
  mutations: readonly Mutation[];
}

/** The protocol in parts: what is not together in one scene does not act on the same words. Each is walked to its end. */
export const SCENES: readonly Scene[] = [
  {
    name: "crashes of Redis and of a process",
    bounds: { limit: 2, chunk: 1, faults: 1, epochs: 2, kinds: ["crash"] },
    mutations: ["seal at open", "forget grants on load", "grants add up", "no copy in the process", "roll-up adds"],
  },
  {
    name: "failover, split brain and the way back",
    bounds: { limit: 2, chunk: 2, faults: 2, epochs: 2, kinds: ["failover"] },
    mutations: ["the run is not checked", "a promoted server keeps its incarnation"],
  },
  {
    name: "a limit that is lowered, and a crash",
    bounds: { limit: 2, chunk: 1, faults: 1, epochs: 2, kinds: ["lower", "crash"] },
    mutations: ["nobody is recalled", "any epoch is reinstated", "an answer is passed on unseen"],
  },
  {
    name: "an orderly close, and a crash",
    bounds: { limit: 2, chunk: 2, faults: 1, epochs: 2, kinds: ["close", "crash"] },
    mutations: ["close without looking"],
  },
];

/** States at most: a scene that outgrows this must be cut, or nobody runs it. */
export const STATES_MAX = 200_000;
