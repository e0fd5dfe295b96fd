import { SettableClock, type Clock } from "../kernel/clock.ts";
import { failed, ok, warning, type Finding } from "./finding.ts";

/** Beyond this, milliseconds, two machines may count one operation in two windows. Machines that keep time by NTP differ by some ten. */
const SKEW_MS = 1_000;
/** Beyond this one of the clocks is simply wrong. */
const SKEW_WRONG_MS = 60_000;

/** Whether Weir's clock and the stores' say the same. `aheadMs`: how far each store's is ahead of ours; none where none could be asked. */
export function clockFinding(clock: Clock, aheadMs: readonly (readonly [store: string, ms: number])[]): Finding {
  const check = "clocks";
  if (clock instanceof SettableClock && clock.stands)
    return warning(
      check,
      "Weir's clock was set by hand and stands still",
      "Unset WEIR_TEST_CLOCK and start Weir again: days and bills follow this clock.",
    );
  const [furthest] = aheadMs.toSorted((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  if (furthest === undefined) return warning(check, "no store could be asked for its time", "Start the stores, then look again.");
  const [store, ms] = furthest;
  const off = Math.abs(ms);
  const found = `${store}'s is ${off} ms ${ms < 0 ? "behind" : "ahead of"} Weir's`;
  if (off <= SKEW_MS) return ok(check, `agree: ${found}`);
  const remedy = "timedatectl set-ntp true on both machines: windows begin and end by Weir's clock, keys and leases expire by the stores'.";
  const wrong = `${store}'s is ${Math.round(off / 1_000)} s ${ms < 0 ? "behind" : "ahead of"} Weir's`;
  return off > SKEW_WRONG_MS ? failed(check, wrong, remedy) : warning(check, wrong, remedy);
}
