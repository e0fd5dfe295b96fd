import { settlePending, type Pending } from "./hold.ts";
import type { MeterPort } from "./port.ts";

const TABLE = "_weir_outbox";
/** Settlements that one other one waits for. */
const TOLD_AT_ONCE = 100;

interface Executes {
  execute(sql: string, params?: unknown): Promise<{ rows: unknown[][] }>;
}

/**
 * What calls have counted, kept in the object's own database and in the transaction that made it true: whatever is killed, a write and its count are
 * both there or neither. A row goes once it is settled; a row that was settled and not yet removed is settled again, and counts once.
 */
export class Outbox {
  readonly #database: Executes;
  /** Whose calls are over; other rows belong to calls under way. */
  readonly #left = new Set<string>();

  constructor(database: Executes) {
    this.#database = database;
  }

  /** Makes the table, and tells what an earlier life has left. */
  async open(meter: MeterPort): Promise<void> {
    await this.#database.execute(`CREATE TABLE IF NOT EXISTS ${TABLE} (id TEXT PRIMARY KEY, pending TEXT NOT NULL) WITHOUT ROWID`);
    const { rows } = await this.#database.execute(`SELECT id FROM ${TABLE}`);
    for (const [id] of rows) this.#left.add(String(id));
    await this.#tellLeft(meter);
  }

  /** Keeps what a call under way would settle now, in place of what it would have before. */
  async keep(pending: Pending, transaction: Executes = this.#database): Promise<void> {
    const sql = `INSERT INTO ${TABLE} (id, pending) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET pending = excluded.pending`;
    await transaction.execute(sql, [pending.event.id, JSON.stringify(pending)]);
  }

  /** Keeps what could not be told. */
  async keepForLater(pending: Pending): Promise<void> {
    await this.keep(pending);
    this.#left.add(pending.event.id);
  }

  /** Forgets what has been told, the holds that the call had before among it, and tells what could not be. */
  async settled(pending: Pending, meter: MeterPort): Promise<void> {
    const call = pending.event.id.replace(/\d+$/, "");
    await this.#database.execute(`DELETE FROM ${TABLE} WHERE substr(id, 1, ?) = ?`, [call.length, call]);
    await this.#tellLeft(meter);
  }

  async #tellLeft(meter: MeterPort): Promise<void> {
    for (const id of [...this.#left].slice(0, TOLD_AT_ONCE)) {
      const { rows } = await this.#database.execute(`SELECT pending FROM ${TABLE} WHERE id = ?`, [id]);
      for (const [text] of rows) await settlePending(meter, JSON.parse(String(text)) as Pending);
      await this.#database.execute(`DELETE FROM ${TABLE} WHERE id = ?`, [id]);
      this.#left.delete(id);
    }
  }
}
