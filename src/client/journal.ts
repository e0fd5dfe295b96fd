import type { Metrics } from "./metrics.ts";
import type { PlaceUsage } from "./types.ts";

/** What a journal is told. `used` is always all so far. */
export type JournalEntry =
  | { kind: "begun"; lease: string }
  | { kind: "used"; lease: string; seq: number; used: Record<string, number>; places: PlaceUsage[] }
  | { kind: "ended"; lease: string };

/**
 * Keeps what leases were spent on where a killed process cannot take it along, so that it is settled when the process comes back.
 * Without one, what was spent since the last heartbeat is not counted; the limit holds either way.
 */
export interface Journal {
  /** Returns once a killed process could not lose the entry any more; throws when it cannot be kept, and the check is then not allowed. */
  append(entry: JournalEntry): void;
  /** The last `used` of each lease that a former process has left unended. */
  unended(): readonly Extract<JournalEntry, { kind: "used" }>[];
  close(): void;
}

/** The same journal for what is noted beside the checks: a settle goes out whether it can be noted or not. */
export const forgiving = (journal: Journal, metrics: Metrics): Journal => ({
  unended: () => journal.unended(),
  close: () => journal.close(),
  append: (entry) => {
    try {
      journal.append(entry);
    } catch {
      metrics.journalFaults += 1;
    }
  },
});
