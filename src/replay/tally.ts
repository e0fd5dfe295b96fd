export type Quantities = Readonly<Record<string, number>>;

/** How one operation ended. */
export type Outcome =
  | { type: "allowed"; usage: Quantities }
  /** `reasons` as `code meter`; nothing was counted. */
  | { type: "denied"; reasons: readonly string[] }
  /** Not understood (a 4xx that is no denial): nothing was counted. */
  | { type: "refused"; reason: string }
  /** No answer: it may have counted up to `usage`. */
  | { type: "unknown"; usage: Quantities };

export interface KindTally {
  kind: string;
  sent: number;
  allowed: number;
  denied: number;
  refused: number;
  unknown: number;
}

/** What a replay counted itself, to be held against what Weir booked. */
export class Tally {
  readonly #kinds = new Map<string, KindTally>();
  readonly #reasons = new Map<string, number>();
  readonly #quantities = new Map<string, number>();
  readonly #uncertain = new Map<string, number>();
  #sent = 0;
  #denied = 0;

  /** Books one operation of `kind` (an operation's name, or what else was asked). */
  record(kind: string, outcome: Outcome): void {
    const row = this.#row(kind);
    row.sent += 1;
    row[outcome.type] += 1;
    this.#sent += 1;
    if (outcome.type === "allowed") addAll(this.#quantities, outcome.usage);
    else if (outcome.type === "unknown") addAll(this.#uncertain, outcome.usage);
    else if (outcome.type === "refused") addAll(this.#reasons, { [outcome.reason]: 1 });
    else {
      this.#denied += 1;
      for (const reason of new Set(outcome.reasons)) addAll(this.#reasons, { [reason]: 1 });
    }
  }

  /** Operations that ended, however they did. */
  get sent(): number {
    return this.#sent;
  }

  get denied(): number {
    return this.#denied;
  }

  kinds(): KindTally[] {
    return [...this.#kinds.values()].toSorted((a, b) => a.kind.localeCompare(b.kind));
  }

  total(): KindTally {
    const total: KindTally = { kind: "total", sent: 0, allowed: 0, denied: 0, refused: 0, unknown: 0 };
    for (const row of this.#kinds.values()) {
      for (const column of ["sent", "allowed", "denied", "refused", "unknown"] as const) total[column] += row[column];
    }
    return total;
  }

  /** How many operations each reason stopped, most first. One with two reasons counts under both. */
  reasons(): [string, number][] {
    return [...this.#reasons].toSorted((a, b) => b[1] - a[1]);
  }

  /** What the allowed operations counted, per meter. */
  quantities(): Record<string, number> {
    return Object.fromEntries([...this.#quantities].toSorted(([a], [b]) => a.localeCompare(b)));
  }

  /** What unanswered operations may have counted beside that, at most. */
  uncertain(): Record<string, number> {
    return Object.fromEntries(this.#uncertain);
  }

  #row(kind: string): KindTally {
    let row = this.#kinds.get(kind);
    if (!row) {
      row = { kind, sent: 0, allowed: 0, denied: 0, refused: 0, unknown: 0 };
      this.#kinds.set(kind, row);
    }
    return row;
  }
}

function addAll(into: Map<string, number>, quantities: Quantities): void {
  for (const [name, n] of Object.entries(quantities)) into.set(name, (into.get(name) ?? 0) + n);
}

/** A denial as a reason: its code, and the meter where one is named. */
export const reasonOf = (denial: { code: string; meter: string | null; source?: string }): string =>
  denial.meter === null ? denial.code : `${denial.code} ${denial.meter}${denial.source === "cap" ? " (cap)" : ""}`;
