import { unavailable, type WeirError } from "../kernel/errors.ts";
import type { Address, StateContext } from "./context.ts";
import { objectPath } from "./layout.ts";
import { isDenial, WallTime } from "./wall-time.ts";

/** What could not be counted while a store was away, kept for another try; more than these are given up. */
const OWED_MAX = 10_000;
/** Tries each, about one a second. */
const OWED_TRIES_MAX = 60;
/** Look-ups of `tick` between two tries of what is owed. */
const OWED_EVERY_TICKS = 4;

/** One reason for an object to be awake: an open socket, or a handler that runs. */
export interface Stay {
  /** Ends it; resolves when the time is counted. */
  leave(): Promise<void>;
}

interface Sleeper {
  time: WallTime;
  /** Told why, when the object must sleep: a denial, or that nobody can be asked. */
  stays: Map<Stay, (reason: WeirError) => void>;
  /** Changes of one object happen one after the other. */
  turn: Promise<void>;
}

/**
 * The objects that are awake, and their duration: wall time is counted once an object, however many sockets and handlers share it. An
 * object that runs into a limit is put to sleep: whoever keeps it awake is told, and nothing more is counted.
 */
export class Awake {
  readonly #context: StateContext;
  readonly #objects = new Map<string, Sleeper>();
  #owed: { retry: () => Promise<void>; tries: number }[] = [];
  #ticks = 0;

  constructor(context: StateContext) {
    this.#context = context;
  }

  /** Keeps the object awake until `leave`, or until `onEnd`. Throws the denial when it may not be awake at all. */
  async enter(address: Address, onEnd: (reason: WeirError) => void): Promise<Stay> {
    const key = objectPath(this.#context.files.root, address.namespace, address.object);
    const sleeper = this.#objects.get(key) ?? this.#add(key, address);
    const stay: Stay = { leave: () => this.#leave(key, sleeper, stay) };
    // Entered before the first await: whoever leaves meanwhile must not end the time for this one.
    sleeper.stays.set(stay, onEnd);
    try {
      await inTurn(sleeper, async () => {
        if (!sleeper.time.running) await sleeper.time.start();
      });
    } catch (error) {
      await stay.leave();
      throw error;
    }
    return stay;
  }

  /** Renews what is about to run out, ends what did, and tries again what is owed. Call it a few times a second. */
  tick(): void {
    for (const [key, sleeper] of this.#objects) {
      if (sleeper.time.due) void inTurn(sleeper, () => this.#goOn(key, sleeper, () => sleeper.time.renew())).catch(this.#context.onTrouble);
    }
    this.#ticks += 1;
    if (this.#ticks % OWED_EVERY_TICKS === 0 && this.#owed.length > 0) void this.#retryOwed();
  }

  /** Counts what has been lived so far of everything that is awake. */
  async settle(): Promise<void> {
    const all = [...this.#objects].map(([key, sleeper]) => inTurn(sleeper, () => this.#goOn(key, sleeper, () => sleeper.time.settle())));
    await Promise.allSettled(all);
  }

  /** Ends every stay, without telling those who stay. */
  async close(): Promise<void> {
    const stays = [...this.#objects.values()].flatMap((sleeper) => [...sleeper.stays.keys()]);
    await Promise.all(stays.map((stay) => stay.leave()));
    await this.#retryOwed();
  }

  #add(key: string, address: Address): Sleeper {
    const owe = (retry: () => Promise<void>): void => {
      if (this.#owed.length < OWED_MAX) this.#owed.push({ retry, tries: 0 });
      else this.#context.onTrouble(unavailable("The gate"));
    };
    const sleeper: Sleeper = { time: new WallTime(this.#context, address, owe), stays: new Map(), turn: Promise.resolve() };
    this.#objects.set(key, sleeper);
    return sleeper;
  }

  async #leave(key: string, sleeper: Sleeper, stay: Stay): Promise<void> {
    if (!sleeper.stays.delete(stay)) return;
    await inTurn(sleeper, async () => {
      if (sleeper.stays.size > 0) return;
      await sleeper.time.stop();
      this.#forget(key, sleeper);
    });
  }

  /** Unless somebody has entered meanwhile. */
  #forget(key: string, sleeper: Sleeper): void {
    if (sleeper.stays.size === 0) this.#objects.delete(key);
  }

  async #goOn(key: string, sleeper: Sleeper, renew: () => Promise<void>): Promise<void> {
    if (!sleeper.time.running) return;
    try {
      await renew();
    } catch (error) {
      // What is held may still be lived; only then is it over.
      if (!sleeper.time.over) return;
      const reason = isDenial(error) ? error : unavailable("The gate", error);
      const ends = [...sleeper.stays.values()];
      sleeper.stays.clear();
      await sleeper.time.stop();
      this.#forget(key, sleeper);
      for (const end of ends) end(reason);
    }
  }

  async #retryOwed(): Promise<void> {
    const owed = this.#owed;
    this.#owed = [];
    for (const one of owed) {
      try {
        await one.retry();
      } catch (error) {
        if (one.tries + 1 < OWED_TRIES_MAX) this.#owed.push({ ...one, tries: one.tries + 1 });
        else this.#context.onTrouble(error);
      }
    }
  }
}

/** Runs `change` after the sleeper's earlier ones, whether they succeeded or not. */
function inTurn(sleeper: Sleeper, change: () => Promise<void>): Promise<void> {
  const run = sleeper.turn.then(change);
  sleeper.turn = run.catch(() => undefined);
  return run;
}
