import { iso, windowsAt, type Period } from "../kernel/window.ts";
import type { ParkedAccount } from "../invoices/parked-store.ts";
import type { CheckResult } from "../ledger/invariants.ts";
import type { HandOver } from "../payments/hand-over-store.ts";
import type { ParkedEvents } from "../payments/meter-event-store.ts";
import type { StrandedWindow } from "../ledger/stranded-store.ts";
import { failed, ok, warning, type Finding } from "./finding.ts";

/** Accounts in line for the roll-up beyond which it does not keep up: it books some 10,000 a second. */
const DIRTY_MANY = 20_000;
/** Rows of a violated check that are shown to people. */
const ROWS_SHOWN = 3;

/** A roll-up a second is due; one that has not come for so long comes from nobody, milliseconds. */
const ROLL_UP_LATE_MS = 60_000;

/** `rolledUpAt`: when the last one ended, epoch ms; null where none has. */
export function rollUpFinding(dirtyAccounts: number, rolledUpAt: number | null, now: number): Finding {
  const waiting = `${dirtyAccounts} ${dirtyAccounts === 1 ? "account waits" : "accounts wait"} to be booked`;
  const late = rolledUpAt !== null && now - rolledUpAt > ROLL_UP_LATE_MS;
  if (dirtyAccounts > 0 && (late || rolledUpAt === null)) {
    const since = rolledUpAt === null ? "no roll-up has ended yet" : `the last roll-up ended at ${iso(rolledUpAt)}`;
    const remedy = "No worker runs, or none can reach both stores: weir worker (weir start runs one, too), and read its log.";
    return warning("rollup", `${waiting}, and ${since}`, remedy);
  }
  const found = waiting;
  return dirtyAccounts > DIRTY_MANY
    ? warning("rollup", found, "The worker does not keep up, or none runs: start another (npm start).")
    : ok("rollup", found);
}

/** Stranded budget of windows that are still open; a window that is over strands nothing. */
export function strandedFinding(stranded: readonly StrandedWindow[], now: number): Finding {
  const open = stranded.filter(({ calendar, period, windowStart }) => windowsAt(now, calendar)[period].start === windowStart);
  if (open.length === 0) return ok("stranded budget", "none");
  const until = (period: Period, row: StrandedWindow): string => iso(windowsAt(now, row.calendar)[period].end);
  const each = open.map((s) => `${s.account}: ${s.quantity} of ${s.meter} until ${until(s.period, s)}`);
  return warning(
    "stranded budget",
    each.join("; "),
    "Lent to a Redis that was lost; free again when the window ends. If that server is gone for good and every API process has run on " +
      "since: weir doctor --reclaim <account>.",
  );
}

/** Accounts that are not billed, since their numbers do not reconcile. */
export function parkedFinding(parked: readonly ParkedAccount[]): Finding {
  if (parked.length === 0) return ok("billing", "no account is parked");
  const each = parked.map(({ account, reason, parkedAt }) => `${account} since ${iso(parkedAt)}: ${reason}`);
  return failed(
    "billing",
    `not billed, since their numbers do not reconcile: ${each.join("; ")}`,
    "Put right what the reason names; the account is billed by the next run then (weir invoices run).",
  );
}

/** Invoices that whoever collects the money refused, or could not be told of. */
export function handOverFinding(given: readonly HandOver[], parked: ParkedEvents | null): Finding {
  if (given.length === 0 && parked) {
    const { count, account, meter, bucket, error } = parked;
    const found = `${count} hours of usage may have been counted at the provider, or not; the oldest is ${meter} of ${account} at ${iso(bucket)}: ${error}`;
    return warning("payments", found, "See what the provider's meter has of that hour, and correct it there (docs/payments.md).");
  }
  if (given.length === 0) return ok("payments", "no hand-over was given up");
  const each = given.map(({ invoice, account, provider, error }) => `${invoice} of ${account} to ${provider}: ${error ?? ""}`);
  return failed(
    "payments",
    `handed over to nobody: ${each.join("; ")}`,
    "Put right what the answer names, then have it tried again (weir invoices hand-over <id> --retry).",
  );
}

/** One finding for each check of sql/checks. */
export const invariantFindings = (results: readonly CheckResult[]): Finding[] => results.map(invariantFinding);

function invariantFinding({ check, says, violations, more, finished }: CheckResult): Finding {
  const name = `invariant ${check}`;
  if (!finished) return warning(name, "took too long to look at", "Look again when Postgres has less to do.");
  if (violations.length === 0) return ok(name, "holds");
  const rows = violations.slice(0, ROWS_SHOWN).map((row) => JSON.stringify(row));
  const rest = more ? "more than " : "";
  const found = `violated by ${rest}${violations.length} ${violations.length === 1 ? "row" : "rows"}: ${rows.join(", ")}`;
  return failed(name, found, `${says} It does not: keep the database as it is and report this (sql/checks/${check}.sql shows every row).`);
}
