/**
 * A model of how Postgres, Redis and the API processes share one hard limit, small enough that every interleaving can be walked.
 * Two processes, two Redis servers (the second follows the first), one account, one window, units of one.
 */

/** Where the protocol is broken on purpose: the checker must see each of them. */
export const MUTATIONS = [
  "seal at open",
  "forget grants on load",
  "grants add up",
  "the run is not checked",
  "a promoted server keeps its incarnation",
  "no copy in the process",
  "roll-up adds",
  "nobody is recalled",
  "close without looking",
  "any epoch is reinstated",
  "an answer is passed on unseen",
] as const;
export type Mutation = (typeof MUTATIONS)[number];

/** What a scene has besides checks, grants and bookings: walked together they are too many. */
export type Kind = "crash" | "failover" | "close" | "lower";

export interface Bounds {
  limit: number;
  /** Least quantity of a grant. */
  chunk: number;
  /** Crashes, flushes and failovers in one history. */
  faults: number;
  kinds: readonly Kind[];
  /** Lives the account may have. */
  epochs: number;
}

/** What a Redis server holds of the account. */
export interface Loaded {
  epoch: number;
  /** The incarnation it was written by. */
  run: number;
  granted: number;
  limit: number;
  base: number;
}

/** Sources: two processes, each killed once at most. */
export const SOURCES = 4;
/** Totals by epoch (from 1 on) and source: see `slot`. Arrays throughout: equal worlds then have equal texts. */
export type Totals = number[];

export interface Server {
  up: boolean;
  run: number;
  loaded: Loaded | null;
  totals: Totals;
}

/** What a process is in the middle of; the message it waits for may come late or never. */
export type Step =
  | { at: "idle" }
  /** Redis has counted; its answer is on the way. */
  | { at: "reply"; epoch: number }
  /** The answer came after a call on this process: it may be passed on if its epoch is seen to live. */
  | { at: "doubt"; epoch: number }
  /** Postgres has granted; Redis has not heard. `again`: the message was already delivered once. */
  | { at: "granted"; epoch: number; run: number; granted: number; gift: number; again: boolean }
  /** Postgres has opened an epoch; it is not installed. */
  | { at: "opened"; epoch: number; run: number; limit: number; base: number; replaces: number }
  /** Redis has let go of a booked epoch; Postgres has not heard. */
  | { at: "closed"; epoch: number };

export interface Process {
  /** Restarts so far: each gives a new source. */
  life: number;
  /** The server it is connected to. */
  server: number;
  step: Step;
  /** What it acknowledged, by epoch. */
  copy: number[];
}

export interface World {
  limit: number;
  epoch: number;
  lastEpoch: number;
  granted: number[];
  booked: Totals;
  sealed: number[];
  servers: Server[];
  primary: number;
  nextRun: number;
  processes: Process[];
  /** A worker's reading of a server, on its way to Postgres. */
  rollUp: Totals | null;
  faults: number;
  /** Whether two servers ever lived as primaries at once. */
  split: boolean;
  /** The truth, known to nobody inside: what was admitted, and what was acknowledged. */
  spent: Totals;
  acknowledged: Totals;
  /** Set by an action that did what must never be done. */
  fault: string;
}

export function firstWorld(bounds: Bounds): World {
  const perEpoch = (): number[] => Array.from({ length: bounds.epochs + 1 }, () => 0);
  const totals = (): Totals => noTotals(bounds);
  const server = (run: number): Server => ({ up: true, run, loaded: null, totals: totals() });
  const process = (): Process => ({ life: 0, server: 0, step: { at: "idle" }, copy: perEpoch() });
  return {
    limit: bounds.limit,
    epoch: 0,
    lastEpoch: 0,
    granted: perEpoch(),
    booked: totals(),
    sealed: [],
    servers: [server(1), server(2)],
    primary: 0,
    nextRun: 3,
    processes: [process(), process()],
    rollUp: null,
    faults: 0,
    split: false,
    spent: totals(),
    acknowledged: totals(),
    fault: "",
  };
}

const noTotals = ({ epochs }: Bounds): Totals => Array.from({ length: (epochs + 1) * SOURCES }, () => 0);

/** Where the totals of an epoch and a process, in its present life, stand. */
export const slot = (epoch: number, process: Process, index: number): number => epoch * SOURCES + index * 2 + process.life;

/** The sum of totals of one epoch, or of all. */
export function sumOf(totals: Totals, epoch?: number): number {
  let sum = 0;
  const end = epoch === undefined ? totals.length : (epoch + 1) * SOURCES;
  for (let i = epoch === undefined ? 0 : epoch * SOURCES; i < end; i++) sum += totals[i] ?? 0;
  return sum;
}

/** What epochs other than `epoch` have booked. */
export const bookedElsewhere = (world: World, epoch: number): number => sumOf(world.booked) - sumOf(world.booked, epoch);

/** Raises `into` to `totals` where they are greater. */
export function raise(into: Totals, totals: Totals): void {
  for (const [i, quantity] of totals.entries()) if (quantity > (into[i] ?? 0)) into[i] = quantity;
}

export function increment(totals: Totals, at: number): void {
  totals[at] = (totals[at] ?? 0) + 1;
}

/** The totals that a process' own copy stands for. */
export function copyTotals(process: Process, index: number): Totals {
  const totals: Totals = [];
  for (const [epoch, quantity] of process.copy.entries()) totals[slot(epoch, process, index)] = quantity;
  return Array.from(totals, (quantity) => quantity ?? 0);
}
