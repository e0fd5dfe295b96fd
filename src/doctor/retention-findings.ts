import { iso } from "../kernel/window.ts";
import type { KeptMonths, RetiredMonth } from "../ledger/retired-month-store.ts";
import type { SetAside } from "../ledger/set-aside-store.ts";
import { ok, warning, type Finding } from "./finding.ts";

/** Which months of usage are kept, which lie in tables by themselves, and which should and do not. */
export function keptMonthsFinding({ from, retired, count, overdue }: KeptMonths): Finding {
  const check = "ledger months";
  const stuck = retired.filter(({ detached }) => !detached).map(({ partition }) => partition);
  if (overdue !== null && overdue.reason === null) stuck.push(overdue.partition);
  if (stuck.length > 0) {
    const remedy =
      "The next run of the job tries again, within the hour. Where it stays so: some statement reads the table for minutes (pg_stat_activity), or " +
      "Weir's user does not own it: then run `weir migrate`, with WEIR_LEDGER_KEPT_MONTHS set, as the user who does.";
    return warning(check, `older than is kept, and still a part of the ledger: ${stuck.join(", ")}`, remedy);
  }
  if (overdue !== null) {
    const found = `${overdue.partition} is older than is kept, and needed: ${overdue.account} ${overdue.reason}`;
    return warning(
      check,
      found,
      "Have the account billed (weir invoices run, and what `billing` says here); the month is let go within the hour then.",
    );
  }
  if (count === 0) return ok(check, "all usage is kept");
  const shown = retired.map((month) => `${month.partition} (${sizeOf(month)})`).join(", ");
  const latest = count > retired.length ? `, the latest ${retired.length}` : "";
  return ok(check, `usage is kept from ${iso(from)} on; detached: ${count}${latest}: ${shown}`);
}

const sizeOf = ({ bytes }: RetiredMonth): string => (bytes === null ? "dropped" : `${(bytes / 1e6).toFixed(1)} MB`);

/** Totals that came for hours that are summed by day or let go. `aside`: the most of it. */
export function setAsideFinding(aside: readonly SetAside[]): Finding {
  const check = "usage set aside";
  const [first] = aside;
  if (first === undefined) return ok(check, "none");
  const each = aside.map(
    ({ account, meter, totals, quantity, from, to }) =>
      `${account}: ${quantity} of ${meter} in ${totals} ${totals === 1 ? "total" : "totals"} from ${iso(from)} to ${iso(to)}`,
  );
  return warning(
    check,
    `came for hours that take nothing more, and counts nothing: ${each.join("; ")}`,
    "A process or a Redis that came back from a copy books again what was booked before: that needs nothing. What was never booked is yours to " +
      `count (POST /v1/accounts/${first.account}/corrections). Then, in psql: delete from usage_set_aside where account = '${first.account}';`,
  );
}
