import { every, monotonicMs, sleep } from "../kernel/clock.ts";
import { unavailable, WeirError } from "../kernel/errors.ts";
import { sameSecret } from "../kernel/ids.ts";
import { RecentMap } from "../kernel/recent.ts";
import { openChannel, type Channel } from "../stores/channel.ts";
import type { Db } from "../stores/database.ts";
import { findKey, noteUses } from "./api-key-store.ts";
import { hashKey, keyId, type Scope } from "./api-key.ts";

/** Keys in use at once that a process remembers. */
const KEYS_MAX = 10_000;
/** When a key was used is written down this often at most, by each process. */
const NOTED_EVERY_MS = 60_000;
/**
 * How long a key that was good still is while Postgres does not answer: checks go on without Postgres, and in a Postgres that is away
 * nothing is revoked. Only a process that is cut off alone can miss a revocation by it.
 */
const OUTAGE_MS = 120_000;
/** Where an answer from before can be fallen back on, Postgres is not waited for longer than a check waits for Redis. */
const PATIENCE_MS = 200;
/** Nor asked again so soon, by every request. */
const AWAY_MS = 1_000;

/** Whose key it is. `account` is null for the operator's keys. */
export interface KeyOwner {
  scope: Scope;
  account: string | null;
  keyId: string;
}

interface Known {
  owner: KeyOwner;
  expiresAt: number | null;
  /** When Postgres said so, on the monotonic clock, and after how many gaps in what is told. */
  confirmedAt: number;
  gaps: number;
  usedAt: number;
  notedAt: number;
}

/** How often the uses of keys are written down. */
const NOTING_MS = 1_000;
/** The channel that changes of keys are told on (sql/migrations/0023). */
const CHANNEL = "weir_keys";

/** Opens the key ring of a process. `onTrouble` is told where the uses of keys cannot be written down. */
export function openKeyRing(db: Db, databaseUrl: string, onTrouble: (error: unknown) => void): KeyRing {
  const channel = openChannel(databaseUrl, CHANNEL, { onMessage: (id) => ring.forget(id), onGap: () => ring.missedSomething() });
  const ring = new KeyRing(db, channel, (noting) => every(NOTING_MS, noting, onTrouble));
  return ring;
}

/**
 * The keys in use, remembered. Whatever changes a key is told to every process with the commit (sql/migrations/0023), so what is
 * remembered holds while the channel is live; while it is not, each request asks Postgres.
 */
export class KeyRing {
  readonly #db: Db;
  readonly #channel: Channel;
  readonly #timer: NodeJS.Timeout;
  /** By the hash of the key; `#hashes` by its id, for what is told. */
  readonly #known = new RecentMap<string, Known>(KEYS_MAX);
  readonly #hashes = new RecentMap<string, string>(KEYS_MAX * 2);
  #used = new Set<Known>();
  #gaps = 0;
  /** Rises with everything that is told: an answer that was asked for before is not remembered. */
  #told = 0;
  #awayUntil = Number.NEGATIVE_INFINITY;

  constructor(db: Db, channel: Channel, repeat: (noting: () => Promise<void>) => NodeJS.Timeout) {
    this.#db = db;
    this.#channel = channel;
    this.#timer = repeat(() => this.noteUses());
  }

  /** Whose key this is, where that is certain without asking; null where it is to be looked up. */
  remembered(key: string, now: number): KeyOwner | null {
    const known = this.#channel.live ? this.#known.get(hashKey(key).toString("base64")) : undefined;
    return known?.gaps === this.#gaps ? this.#use(known, now) : null;
  }

  /** Whose key this is; null for one that is unknown, expired or revoked. Found by id, compared by hash, in constant time. */
  async find(key: string, now: number): Promise<KeyOwner | null> {
    const id = keyId(key);
    if (id === null) return null;
    const hash = hashKey(key);
    const before = this.#known.get(hash.toString("base64"));
    const recent = before !== undefined && monotonicMs() - before.confirmedAt < OUTAGE_MS ? before : null;
    const known = await this.#ask(id, hash, recent !== null).catch((error: unknown) => {
      if (recent && error instanceof WeirError && error.code === "unavailable") return recent;
      throw error;
    });
    return known ? this.#use(known, now) : null;
  }

  /** A key was changed. */
  forget(id: string): void {
    this.#told += 1;
    const hash = this.#hashes.get(id);
    this.#hashes.delete(id);
    if (hash !== undefined) this.#known.delete(hash);
  }

  /** Any key may have been changed. What was known stays, for when Postgres is away. */
  missedSomething(): void {
    this.#told += 1;
    this.#gaps += 1;
  }

  /** Resolves when every process goes by the keys as they are in Postgres now: after one was changed, before that is answered. */
  settle(): Promise<void> {
    return this.#channel.settle();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    try {
      await this.noteUses();
    } finally {
      await this.#channel.close();
    }
  }

  /** Writes down which keys were used. */
  async noteUses(): Promise<void> {
    if (this.#used.size === 0) return;
    const used = [...this.#used];
    this.#used = new Set();
    for (const known of used) known.notedAt = known.usedAt;
    await noteUses(
      this.#db,
      used.map(({ owner, usedAt }) => ({ id: owner.keyId, at: usedAt })),
    );
  }

  #use(known: Known, now: number): KeyOwner | null {
    if (known.expiresAt !== null && known.expiresAt <= now) return null;
    known.usedAt = now;
    if (now - known.notedAt >= NOTED_EVERY_MS) this.#used.add(known);
    return known.owner;
  }

  async #ask(id: string, hash: Buffer, hurried: boolean): Promise<Known | null> {
    const [told, gaps] = [this.#told, this.#gaps];
    const row = await (hurried ? this.#inTime(() => findKey(this.#db, id)) : findKey(this.#db, id));
    if (row === null || row.revokedAt !== null) this.forget(id);
    if (row === null || row.revokedAt !== null || !sameSecret(row.hash, hash)) return null;
    const lastUse = row.lastUsedAt ?? Number.NEGATIVE_INFINITY;
    const known: Known = {
      owner: { scope: row.scope, account: row.account, keyId: row.id },
      expiresAt: row.expiresAt,
      confirmedAt: monotonicMs(),
      gaps,
      usedAt: lastUse,
      notedAt: lastUse,
    };
    if (told === this.#told) this.#remember(known, hash.toString("base64"));
    return known;
  }

  async #inTime<T>(ask: () => Promise<T>): Promise<T> {
    if (monotonicMs() < this.#awayUntil) throw unavailable("Postgres");
    const asked = ask();
    const timer = new AbortController();
    const late = sleep(PATIENCE_MS, timer.signal).then((): Promise<T> => {
      if (timer.signal.aborted) return asked;
      this.#awayUntil = monotonicMs() + AWAY_MS;
      throw unavailable("Postgres");
    });
    late.catch(() => {});
    return Promise.race([asked, late]).finally(() => timer.abort());
  }

  #remember(known: Known, hash: string): void {
    this.#known.set(hash, known);
    this.#hashes.set(known.owner.keyId, hash);
  }
}
