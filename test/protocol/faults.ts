import type { Action } from "./actions.ts";
import type { Bounds, Mutation, Server, World } from "./state.ts";

/** What may go wrong, `bounds.faults` times in one history. */
export function faultActions(bounds: Bounds, mutation: Mutation | null): Action[] {
  const fault = (name: string, run: (world: World) => boolean): Action => ({
    name,
    run: (world) => {
      if (world.faults >= bounds.faults || !run(world)) return false;
      world.faults += 1;
      return true;
    },
  });
  const crashes = [
    fault("Redis restarts empty", (world) => restart(world, false)),
    fault("Redis restarts with its file", (world) => restart(world, true)),
    fault("FLUSHALL", flush),
    ...[0, 1].map((p) => fault(`process ${p} is killed and starts again`, (world) => killProcess(world, p))),
  ];
  const failovers = [
    fault("the primary dies and its replica is promoted", (world) => failOver(world, mutation, false)),
    fault("the replica is promoted and the old primary lives on", (world) => failOver(world, mutation, true)),
    fault("the old primary follows the new one and is promoted again", (world) => failBack(world, mutation)),
    // No crash: the replica hears of what the primary has done, now or never.
    { name: "replicate", run: replicate },
  ];
  return [...(bounds.kinds.includes("crash") ? crashes : []), ...(bounds.kinds.includes("failover") ? failovers : [])];
}

const primaryOf = (world: World): Server | undefined => world.servers[world.primary];

function restart(world: World, keep: boolean): boolean {
  const server = primaryOf(world);
  if (!server?.up) return false;
  server.run = world.nextRun++;
  if (!keep) forget(server);
  dropReplies(world, world.primary);
  return true;
}

function flush(world: World): boolean {
  const server = primaryOf(world);
  if (!server?.up || !server.loaded) return false;
  forget(server);
  return true;
}

function forget(server: Server): void {
  server.loaded = null;
  server.totals = server.totals.map(() => 0);
}

function failOver(world: World, mutation: Mutation | null, oldLives: boolean): boolean {
  if (world.primary !== 0) return false;
  const [old, next] = world.servers;
  if (!old || !next) return false;
  world.primary = 1;
  promote(world, next, mutation);
  if (oldLives) {
    world.split = true;
    return true;
  }
  old.up = false;
  forget(old);
  dropReplies(world, 0);
  return true;
}

/** The first server takes over the second one's data, is promoted, and the second goes. */
function failBack(world: World, mutation: Mutation | null): boolean {
  const [first, second] = world.servers;
  if (world.primary !== 1 || !first?.up || !second) return false;
  copy(second, first);
  world.primary = 0;
  promote(world, first, mutation);
  second.up = false;
  forget(second);
  dropReplies(world, 1);
  return true;
}

/** A promotion gives a server another replication id, which is part of its incarnation; its run id stays. */
function promote(world: World, server: Server, mutation: Mutation | null): void {
  if (mutation !== "a promoted server keeps its incarnation") server.run = world.nextRun++;
}

function replicate(world: World): boolean {
  const [first, second] = world.servers;
  if (world.primary !== 0 || !first?.up || !second?.up) return false;
  copy(first, second);
  return true;
}

function copy(from: Server, to: Server): void {
  to.loaded = from.loaded && { ...from.loaded };
  to.totals = [...from.totals];
}

function killProcess(world: World, p: number): boolean {
  const process = world.processes[p];
  if (!process || process.life > 0) return false;
  process.life += 1;
  process.copy = process.copy.map(() => 0);
  process.step = { at: "idle" };
  return true;
}

/** Answers on their way from a server that is gone never come. */
function dropReplies(world: World, server: number): void {
  for (const process of world.processes) if (process.server === server && process.step.at === "reply") process.step = { at: "idle" };
}
