import { busy, WaitingLine } from "./waiting-line.ts";

/** Waiting operations of one object, beyond which the next is refused. */
const WAITING_PER_OBJECT_MAX = 1_000;
/** Longest wait for an object's turn, milliseconds. */
const WAIT_MS_MAX = 10_000;
/** Values held by waiting operations, all objects together: 1,000 puts of 2 MiB on one object alone would hold 2 GB. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024;

/**
 * One lane per object: whatever touches an object runs alone and in the order of arrival, like the single thread of an
 * actor. Objects do not wait for each other. A lane exists only while somebody is in it.
 */
export class ObjectLanes {
  readonly #lanes = new Map<string, WaitingLine>();
  #waitingBytes = 0;

  /** Runs `task` when it is its turn on `object` (its path). `bytes` is what the operation holds in memory meanwhile. */
  async run<T>(object: string, bytes: number, task: () => Promise<T>): Promise<T> {
    const lane = this.#lane(object);
    if (!lane.idle && this.#waitingBytes + bytes > WAITING_BYTES_MAX) throw busy("Too many bytes wait to be written already");
    this.#waitingBytes += bytes;
    try {
      await lane.enter();
    } finally {
      this.#waitingBytes -= bytes;
    }
    try {
      return await task();
    } finally {
      lane.leave();
      if (lane.idle) this.#lanes.delete(object);
    }
  }

  #lane(object: string): WaitingLine {
    let lane = this.#lanes.get(object);
    if (!lane) {
      lane = new WaitingLine({ slots: 1, waitingMax: WAITING_PER_OBJECT_MAX, waitMsMax: WAIT_MS_MAX, what: "The object" });
      this.#lanes.set(object, lane);
    }
    return lane;
  }
}
