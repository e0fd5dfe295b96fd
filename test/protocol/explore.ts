import { protocolActions, type Action } from "./actions.ts";
import { faultActions } from "./faults.ts";
import { copyTotals, firstWorld, sumOf, type Bounds, type Mutation, type World } from "./state.ts";

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
  const first = keyOf(firstWorld(bounds));
  const visited = new Map<string, Visited>([[first, { from: null, by: "" }]]);
  let transitions = 0;
  let level = [first];
  while (level.length > 0) {
    const next: string[] = [];
    for (const key of level) {
      for (const action of actions) {
        const world = JSON.parse(key) as World;
        if (!action.run(world)) continue;
        transitions += 1;
        const reached = keyOf(world);
        if (visited.has(reached)) continue;
        visited.set(reached, { from: key, by: action.name });
        const says = violated(world, bounds);
        if (says !== null) return { states: visited.size, transitions, violation: { says, history: historyOf(visited, reached) } };
        if (visited.size > statesMax) throw new Error(`More than ${statesMax} states: the bounds are too wide to be walked`);
        next.push(reached);
      }
    }
    level = next;
  }
  return { states: visited.size, transitions, violation: null };
}

/** The invariants of DESIGN.md §1 that a state can break. */
function violated(world: World, { limit }: Bounds): string | null {
  if (world.fault !== "") return world.fault;
  if (sumOf(world.spent) > limit) return `${sumOf(world.spent)} units were admitted under a limit of ${limit}`;
  for (const [key, quantity] of Object.entries(world.booked)) {
    if (quantity > (world.spent[key] ?? 0)) return `${key}: ${quantity} booked, ${world.spent[key] ?? 0} admitted`;
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
  for (const [key, quantity] of Object.entries(world.acknowledged)) {
    const held = [
      world.booked[key] ?? 0,
      ...world.servers.map((server) => (server.up ? (server.totals[key] ?? 0) : 0)),
      ...world.processes.map((process, i) => copyTotals(process, i)[key] ?? 0),
    ];
    if (Math.max(...held) < quantity) return `${key}: ${quantity} acknowledged, ${Math.max(...held)} held anywhere`;
  }
  return null;
}

/** Equal worlds, equal keys: members that are built up come in the order of their names. */
const keyOf = (world: World): string => JSON.stringify(world, (_, value: unknown) => (isRecord(value) ? sorted(value) : value));

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const sorted = (record: Record<string, unknown>): Record<string, unknown> => {
  const names = Object.keys(record);
  if (names.length < 2) return record;
  return Object.fromEntries(names.toSorted().map((name) => [name, record[name]]));
};

function historyOf(visited: Map<string, Visited>, end: string): string[] {
  const history: string[] = [];
  for (let at: string | null = end; at !== null; ) {
    const step: Visited | undefined = visited.get(at);
    if (step?.by) history.unshift(step.by);
    at = step?.from ?? null;
  }
  return history;
}
