import {
  bookedElsewhere,
  copyTotals,
  increment,
  raise,
  slot,
  SOURCES,
  sumOf,
  type Bounds,
  type Mutation,
  type Process,
  type Server,
  type World,
} from "./state.ts";

/** What may happen next: changes the world and answers true, or answers false where it cannot happen. */
export interface Action {
  name: string;
  run(world: World): boolean;
}

/** The actions of processes and workers; what goes wrong is in faults.ts. */
export function protocolActions(bounds: Bounds, mutation: Mutation | null): Action[] {
  const actions: Action[] = [];
  for (const p of [0, 1]) {
    const on = (name: string, run: (world: World, process: Process, server: Server) => boolean): void => {
      actions.push({ name: `process ${p}: ${name}`, run: (world) => withProcess(world, p, run) });
    };
    on("check", (world, process, server) => check(world, process, p, server, bounds, mutation));
    on("hear the answer", (world, process) => hear(world, process, p, mutation));
    on("look whether the answer stands", (world, process, server) => look(world, process, p, server, mutation));
    on("tell Redis of the grant", (_, process, server) => tellGrant(process, server, mutation));
    on("tell Redis of the grant twice", (_, process, server) => tellGrantTwice(process, server, mutation));
    on("install the epoch", (world, process, server) => install(world, process, server));
    on("book its copies", (world, process) => bookOwn(world, process, p));
    if (bounds.kinds.includes("close")) {
      on("close the epoch", (world, process, server) => close(world, process, server, mutation));
      on("seal the closed epoch", (world, process) => sealClosed(world, process));
    }
    if (bounds.kinds.includes("failover")) on("connect to the primary", (world, process) => connect(world, process));
  }
  actions.push({ name: "worker: read", run: readTotals }, { name: "worker: book", run: (world) => bookTotals(world, mutation) });
  if (bounds.kinds.includes("lower")) {
    for (const s of [0, 1])
      actions.push({ name: `server ${s}: hears of sums and limits`, run: (world) => refresh(world, world.servers[s]) });
    actions.push({ name: "lower the limit by one", run: (world) => lower(world, bounds) });
  }
  return actions;
}

function withProcess(world: World, p: number, run: (world: World, process: Process, server: Server) => boolean): boolean {
  const process = world.processes[p];
  const server = process && world.servers[process.server];
  return process !== undefined && server !== undefined && run(world, process, server);
}

const current = (server: Server, mutation: Mutation | null): boolean =>
  server.loaded !== null && (server.loaded.run === server.run || mutation === "the run is not checked");

function check(world: World, process: Process, p: number, server: Server, bounds: Bounds, mutation: Mutation | null): boolean {
  if (process.step.at !== "idle" || !server.up) return false;
  const { loaded } = server;
  if (!loaded || !current(server, mutation)) return open(world, process, server, 0, bounds, mutation);
  const spent = sumOf(server.totals, loaded.epoch);
  if (loaded.base + spent + 1 > loaded.limit) return false;
  if (spent + 1 > loaded.granted) return grant(world, process, server, spent, bounds, mutation);
  const at = slot(loaded.epoch, process, p);
  increment(server.totals, at);
  increment(world.spent, at);
  if (world.sealed.includes(loaded.epoch)) world.fault = `epoch ${loaded.epoch} spends after it was sealed`;
  // A server that knows the present limit must keep it, unless another primary spends unseen. What nobody was told of and nobody holds counts for nothing.
  if (!world.split && loaded.limit === world.limit && known(world) > world.limit)
    world.fault = "a unit was admitted beyond the present limit";
  process.step = { at: "reply", epoch: loaded.epoch };
  return true;
}

/** Units that anybody was told of, or that are held anywhere. */
function known(world: World): number {
  let sum = 0;
  for (const at of world.spent.keys()) {
    const held = world.servers.map((server) => (server.up ? (server.totals[at] ?? 0) : 0));
    sum += Math.max(world.acknowledged[at] ?? 0, world.booked[at] ?? 0, ...held);
  }
  return sum;
}

function open(world: World, process: Process, server: Server, replaces: number, bounds: Bounds, mutation: Mutation | null): boolean {
  if (world.lastEpoch >= bounds.epochs) return false;
  raise(world.booked, server.totals);
  if (world.rollUp && mutation !== "nobody is recalled") {
    raise(world.booked, world.rollUp);
    world.rollUp = null;
  }
  for (const [i, other] of world.processes.entries()) {
    if (mutation === "nobody is recalled" && other !== process) continue;
    raise(world.booked, copyTotals(other, i));
    // An answer from before the recall is passed on only if its epoch is seen to live after it.
    if (other.step.at === "reply" && mutation !== "nobody is recalled") other.step = { at: "doubt", epoch: other.step.epoch };
  }
  if (mutation === "seal at open") world.sealed = Array.from({ length: world.lastEpoch }, (_, i) => i + 1);
  world.lastEpoch += 1;
  world.epoch = world.lastEpoch;
  process.step = {
    at: "opened",
    epoch: world.epoch,
    run: server.run,
    limit: world.limit,
    base: bookedElsewhere(world, world.epoch),
    replaces,
  };
  return true;
}

function install(world: World, process: Process, server: Server): boolean {
  const { step } = process;
  if (step.at !== "opened") return false;
  process.step = { at: "idle" };
  // The message names the run it was meant for: another one refuses it.
  if (!server.up || server.run !== step.run) return true;
  if (server.loaded?.run === server.run && server.loaded.epoch !== step.replaces) {
    if (world.epoch === step.epoch) world.epoch = server.loaded.epoch;
    return true;
  }
  server.loaded = { epoch: step.epoch, run: server.run, granted: 0, limit: step.limit, base: step.base };
  return true;
}

function grant(world: World, process: Process, server: Server, spent: number, bounds: Bounds, mutation: Mutation | null): boolean {
  const { loaded } = server;
  if (!loaded || loaded.limit !== world.limit) return false;
  const { epoch } = loaded;
  if (world.epoch !== epoch) {
    // It may have been installed late, after another had lived and was lost: what that one counted must be booked first.
    const lived = (world.granted[epoch] ?? 0) > 0 && !world.sealed.includes(epoch);
    const outlived = world.granted.some((lent, other) => other > epoch && lent > 0);
    if (mutation !== "any epoch is reinstated" && (outlived || !lived)) return open(world, process, server, epoch, bounds, mutation);
    // The opener of the later one was killed before it could install it: the one that lives is made the present one again.
    world.epoch = epoch;
    return true;
  }
  let elsewhere = 0;
  for (let other = 1; other <= world.lastEpoch; other++) {
    if (other === epoch) continue;
    const booked = sumOf(world.booked, other);
    const forgotten = mutation === "forget grants on load" || world.sealed.includes(other);
    const lent = forgotten ? 0 : (world.granted[other] ?? 0);
    elsewhere += Math.max(lent, booked);
  }
  const here = world.granted[epoch] ?? 0;
  const want = Math.min(world.limit, Math.max(spent + 1, loaded.granted + bounds.chunk));
  const gift = Math.min(Math.max(0, want - here), Math.max(0, world.limit - elsewhere - here));
  if (gift === 0 && loaded.granted === here) return false;
  world.granted[epoch] = here + gift;
  process.step = { at: "granted", epoch, run: loaded.run, granted: here + gift, gift, again: false };
  return true;
}

function tellGrant(process: Process, server: Server, mutation: Mutation | null): boolean {
  const { step } = process;
  if (step.at !== "granted") return false;
  hearGrant(server, step, mutation);
  process.step = { at: "idle" };
  return true;
}

function tellGrantTwice(process: Process, server: Server, mutation: Mutation | null): boolean {
  const { step } = process;
  if (step.at !== "granted" || step.again) return false;
  hearGrant(server, step, mutation);
  process.step = { ...step, again: true };
  return true;
}

function hearGrant(
  server: Server,
  { epoch, run, granted, gift }: { epoch: number; run: number; granted: number; gift: number },
  mutation: Mutation | null,
): void {
  const { loaded } = server;
  if (!server.up || !loaded || loaded.run !== run || loaded.epoch !== epoch || !current(server, mutation)) return;
  loaded.granted = mutation === "grants add up" ? loaded.granted + gift : Math.max(loaded.granted, granted);
}

function hear(world: World, process: Process, p: number, mutation: Mutation | null): boolean {
  const { step } = process;
  if (step.at !== "reply") return false;
  if (mutation !== "no copy in the process") increment(process.copy, step.epoch);
  increment(world.acknowledged, slot(step.epoch, process, p));
  process.step = { at: "idle" };
  return true;
}

/** Where its epoch lives on the answer is as good as a new one; else its caller asks again. */
function look(world: World, process: Process, p: number, server: Server, mutation: Mutation | null): boolean {
  const { step } = process;
  if (step.at !== "doubt" || !server.up) return false;
  const stands = server.loaded?.epoch === step.epoch && current(server, mutation);
  process.step = stands || mutation === "an answer is passed on unseen" ? { at: "reply", epoch: step.epoch } : { at: "idle" };
  return process.step.at === "idle" || hear(world, process, p, mutation);
}

function bookOwn(world: World, process: Process, p: number): boolean {
  raise(world.booked, copyTotals(process, p));
  return true;
}

function refresh(world: World, server: Server | undefined): boolean {
  const loaded = server?.loaded;
  if (!server?.up || !loaded || loaded.run !== server.run) return false;
  loaded.limit = world.limit;
  loaded.base = bookedElsewhere(world, loaded.epoch);
  return true;
}

/** In order: Redis lets go of an epoch whose every unit is booked, then Postgres frees what it did not spend. */
function close(world: World, process: Process, server: Server, mutation: Mutation | null): boolean {
  const { loaded } = server;
  if (process.step.at !== "idle" || !server.up || !loaded || loaded.run !== server.run) return false;
  const unbooked = server.totals.some((quantity, at) => Math.floor(at / SOURCES) === loaded.epoch && quantity > (world.booked[at] ?? 0));
  if (unbooked && mutation !== "close without looking") return false;
  process.step = { at: "closed", epoch: loaded.epoch };
  server.loaded = null;
  return true;
}

function sealClosed(world: World, process: Process): boolean {
  if (process.step.at !== "closed") return false;
  const { epoch } = process.step;
  process.step = { at: "idle" };
  if (!world.sealed.includes(epoch)) world.sealed = [...world.sealed, epoch].toSorted((a, b) => a - b);
  return true;
}

function connect(world: World, process: Process): boolean {
  if (process.server === world.primary) return false;
  process.server = world.primary;
  if (process.step.at === "reply") process.step = { at: "idle" };
  return true;
}

function readTotals(world: World): boolean {
  const server = world.servers[world.primary];
  if (!server?.up || world.rollUp || sumOf(server.totals) === 0) return false;
  world.rollUp = [...server.totals];
  return true;
}

function bookTotals(world: World, mutation: Mutation | null): boolean {
  if (!world.rollUp) return false;
  if (mutation === "roll-up adds") world.booked = world.booked.map((quantity, at) => quantity + (world.rollUp?.[at] ?? 0));
  else raise(world.booked, world.rollUp);
  world.rollUp = null;
  return true;
}

function lower(world: World, bounds: Bounds): boolean {
  if (world.limit < bounds.limit) return false;
  world.limit -= 1;
  return true;
}
