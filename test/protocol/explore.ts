import { protocolActions, type Action } from "./actions.ts";
import { faultActions } from "./faults.ts";
import { copyTotals, firstWorld, SOURCES, sumOf, type Bounds, type Mutation, type World } from "./state.ts";

export interface Exploration {
  states: number;
  transitions: number;
  /** The shortest history that breaks an invariant, and which; null when none does. */
  violation: { says: string; history: string[] } | null;
}

interface Visited {
  from: string | null;
  by: string;
}

/** Walks every interleaving breadth first, so that what breaks first breaks shortest. Throws past `statesMax`: then nothing is proved. */
export function explore(bounds: Bounds, mutation: Mutation | null, statesMax: number): Exploration {
  const actions: Action[] = [...protocolActions(bounds, mutation), ...faultActions(bounds, mutation)];
  const first = JSON.stringify(firstWorld(bounds));
  const visited = new Map<string, Visited>([[first, { from: null, by: "" }]]);
  let transitions = 0;
  let level = [first];
  while (level.length > 0) {
    const next: string[] = [];
    for (const key of level) {
      let world = JSON.parse(key) as World;
      for (const action of actions) {
        // An action that cannot happen has changed nothing.
        if (!action.run(world)) continue;
        transitions += 1;
        const reached = JSON.stringify(world);
        const says = visited.has(reached) ? null : violated(world, bounds);
        world = JSON.parse(key) as World;
        if (visited.has(reached)) continue;
        visited.set(reached, { from: key, by: action.name });
        if (says !== null) return { states: visited.size, transitions, violation: { says, history: historyOf(visited, reached) } };
        if (visited.size > statesMax) throw new Error(`More than ${statesMax} states: the bounds are too wide to be walked`);
        next.push(reached);
      }
    }
    level = next;
  }
  return { states: visited.size, transitions, violation: null };
}

/** Never over, never lost, never twice: what a state can break of it. */
function violated(world: World, { limit }: Bounds): string | null {
  if (world.fault !== "") return world.fault;
  if (sumOf(world.spent) > limit) return `${sumOf(world.spent)} units were admitted under a limit of ${limit}`;
  for (const [at, quantity] of world.booked.entries()) {
    const spent = world.spent[at] ?? 0;
    if (quantity > spent) return `epoch ${Math.floor(at / SOURCES)}: a source has ${quantity} booked and ${spent} admitted`;
  }
  for (const epoch of world.sealed) {
    const spent = sumOf(world.spent, epoch);
    const booked = sumOf(world.booked, epoch);
    if (spent > booked) return `epoch ${epoch} is sealed with ${booked} of ${spent} booked`;
  }
  return world.faults <= 1 ? lost(world) : null;
}

/** After one crash at most, every acknowledged unit is in Postgres, in a Redis that lives, or in a process that lives. */
function lost(world: World): string | null {
  const copies = world.processes.map(copyTotals);
  for (const [at, quantity] of world.acknowledged.entries()) {
    if (quantity === 0) continue;
    const inRedis = world.servers.map((server) => (server.up ? (server.totals[at] ?? 0) : 0));
    const held = Math.max(world.booked[at] ?? 0, ...inRedis, ...copies.map((copy) => copy[at] ?? 0));
    if (held < quantity) return `epoch ${Math.floor(at / SOURCES)}: a source has ${quantity} acknowledged, and ${held} are held anywhere`;
  }
  return null;
}

function historyOf(visited: Map<string, Visited>, end: string): string[] {
  const history: string[] = [];
  for (let at: string | null = end; at !== null;) {
    const step: Visited | undefined = visited.get(at);
    if (step?.by) history.unshift(step.by);
    at = step?.from ?? null;
  }
  return history;
}
