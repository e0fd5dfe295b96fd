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
] as const;
export type Mutation = (typeof MUTATIONS)[number];

export interface Bounds {
  limit: number;
  /** Least quantity of a grant. */
  chunk: number;
  /** What the limit is lowered to once; the same as `limit` to leave that out. */
  lowered: number;
  /** Crashes, flushes and failovers in one history. */
  faults: number;
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

/** Totals by `epoch.source`. */
export type Totals = Record<string, number>;

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
  /** Postgres has granted; Redis has not heard. `again`: the message was already delivered once. */
  | { at: "granted"; epoch: number; run: number; granted: number; gift: number; again: boolean }
  /** Postgres has opened an epoch; it is not installed. */
  | { at: "opened"; epoch: number; run: number; limit: number; base: number }
  /** Redis has let go of a booked epoch; Postgres has not heard. */
  | { at: "closed"; epoch: number };

export interface Process {
  up: boolean;
  /** Restarts so far: each gives a new source. */
  life: number;
  /** The server it is connected to. */
  server: number;
  step: Step;
  /** What it acknowledged, by epoch. */
  copy: Record<string, number>;
}

export interface World {
  limit: number;
  epoch: number;
  lastEpoch: number;
  granted: Record<string, number>;
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
  const server = (run: number): Server => ({ up: true, run, loaded: null, totals: {} });
  const process = (): Process => ({ up: true, life: 0, server: 0, step: { at: "idle" }, copy: {} });
  return {
    limit: bounds.limit,
    epoch: 0,
    lastEpoch: 0,
    granted: {},
    booked: {},
    sealed: [],
    servers: [server(1), server(2)],
    primary: 0,
    nextRun: 3,
    processes: [process(), process()],
    rollUp: null,
    faults: 0,
    split: false,
    spent: {},
    acknowledged: {},
    fault: "",
  };
}

export const sourceOf = (process: Process, index: number): string => `${index}${"'".repeat(process.life)}`;

/** The sum of totals of one epoch, or of all. */
export function sumOf(totals: Totals, epoch?: number): number {
  let sum = 0;
  for (const [key, quantity] of Object.entries(totals)) if (epoch === undefined || key.startsWith(`${epoch}.`)) sum += quantity;
  return sum;
}

/** What epochs other than `epoch` have booked. */
export const bookedElsewhere = (world: World, epoch: number): number => sumOf(world.booked) - sumOf(world.booked, epoch);

/** Raises `into` to `totals` where they are greater. */
export function raise(into: Totals, totals: Totals): void {
  for (const [key, quantity] of Object.entries(totals)) into[key] = Math.max(into[key] ?? 0, quantity);
}

/** The totals that a process' own copy stands for. */
export function copyTotals(process: Process, index: number): Totals {
  return Object.fromEntries(Object.entries(process.copy).map(([epoch, quantity]) => [`${epoch}.${sourceOf(process, index)}`, quantity]));
}
