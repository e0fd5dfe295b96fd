import { hash53 } from "./hash.ts";
import type { TraceOperation } from "./operation.ts";

/** Keys that are remembered, at most: about 40 bytes each, so 80 MB. */
export const WRITTEN_KEYS_MAX = 2_000_000;

/**
 * Which keys exist, for a replay that stores nothing: a `get` of a key that was never written is a miss and reads no row.
 * Kept as 53-bit hashes; among 100,000 keys two are mistaken for one with a chance of 1 in 1.8 million.
 */
export class WrittenKeys {
  readonly #hashes = new Set<number>();
  #overflowed = false;

  has(operation: TraceOperation): boolean {
    return this.#hashes.has(identity(operation));
  }

  /** Remembers an allowed `put`, forgets an allowed `delete-value`. */
  apply(operation: TraceOperation): void {
    const id = identity(operation);
    if (operation.kind === "delete-value") this.#hashes.delete(id);
    else if (operation.kind === "put") {
      if (this.#hashes.size < WRITTEN_KEYS_MAX) this.#hashes.add(id);
      else this.#overflowed = true;
    }
  }

  /** True once a key had to be left out: from then on some hits are taken for misses. */
  get overflowed(): boolean {
    return this.#overflowed;
  }
}

/** One number for a key of an object. NUL parts the names: no name can hold it. */
export function identity(operation: TraceOperation): number {
  const { service, namespace, object, key } = operation;
  return hash53(`${service ?? ""}\0${namespace ?? ""}\0${object}\0${key}`);
}
