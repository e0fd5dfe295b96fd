import { hashOf, type AuditEntry, type ChainHead } from "./entry.ts";

/** What is wrong with a log. */
export interface AuditFault {
  account: string | null;
  number: number;
  fault: string;
}

/** Faults that are named; a log that was tampered with may have as many as entries. */
const FAULTS_MAX = 100;

/** Checks a log that is shown to it entry by entry, each chain from its first entry on. It remembers one entry a chain. */
export class AuditVerification {
  readonly #last = new Map<string, ChainHead>();
  readonly #expected = new Map<string, ChainHead>();
  readonly #faults: AuditFault[] = [];
  #entries = 0;

  /** An entry that the log must hold, as somebody noted it before. To be called before the entries are added. */
  expect(head: ChainHead): void {
    this.#expected.set(keyOf(head), head);
  }

  /** The next entry; of its chain, that is: chains may be mixed. */
  add(entry: AuditEntry): void {
    this.#entries += 1;
    const { account, number, hash } = entry;
    const last = this.#last.get(account ?? "");
    if (number !== (last?.number ?? 0) + 1)
      this.#blame(entry, `follows number ${last?.number ?? 0}: what stood between is gone, or stands here twice`);
    if (entry.previousHash !== (last?.hash ?? "")) this.#blame(entry, "does not hold the hash of the entry before it");
    if (hash !== hashOf(entry)) this.#blame(entry, "is not what was hashed: it was changed");
    const expected = this.#expected.get(keyOf(entry));
    if (expected && expected.hash !== hash) this.#blame(entry, "has another hash than was noted for it");
    this.#expected.delete(keyOf(entry));
    this.#last.set(account ?? "", { account, number, hash });
  }

  /** To be called after the last entry: what was expected and did not come is a fault. */
  end(): void {
    for (const head of this.#expected.values()) this.#blame(head, "was noted before, and is gone");
    this.#expected.clear();
  }

  get entries(): number {
    return this.#entries;
  }

  get chains(): number {
    return this.#last.size;
  }

  /** At most a hundred. */
  get faults(): readonly AuditFault[] {
    return this.#faults;
  }

  #blame({ account, number }: { account: string | null; number: number }, fault: string): void {
    if (this.#faults.length < FAULTS_MAX) this.#faults.push({ account, number, fault });
  }
}

const keyOf = ({ account, number }: { account: string | null; number: number }): string => `${account ?? ""} ${number}`;
