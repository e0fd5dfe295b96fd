import type { Counters, LoadedAccount } from "../counters/counters.ts";
import { hardLimit } from "../counters/layout.ts";
import { PERIODS } from "../kernel/window.ts";
import { grant, grantLevel, type Want } from "../ledger/epoch-store.ts";
import type { Db } from "../stores/database.ts";

/**
 * Has what a closed life's reservations hold granted to the life that goes on with them, before that is installed: settled there, it is spent out of
 * what Postgres granted, whichever other life another half of a split Redis opens. Windows that turned meanwhile are asked for a little too
 * much, which that life spends otherwise. False when epoch or limits are no longer the present ones.
 */
export async function grantHeld(db: Db, counters: Counters, loaded: LoadedAccount): Promise<boolean> {
  const { account, epoch, limitsVersion, windows, meters } = loaded;
  const held = await counters.heldAtClose(
    account,
    meters.map(({ meter }) => meter),
  );
  const wants = meters.flatMap(({ meter, gauge, periods }) =>
    PERIODS.flatMap((period): Want[] => {
      const [limit, want] = [hardLimit(periods[period]), held.get(meter)?.[period] ?? 0];
      return gauge || limit === null || want === 0 ? [] : [{ meter, period, window: windows[period], limit, want }];
    }),
  );
  if (wants.length > 0 && (await grant(db, account, epoch, limitsVersion, wants)).length === 0) return false;
  for (const { meter, gauge, level, periods } of meters) {
    const want = gauge ? (held.get(meter)?.day ?? 0) : 0;
    const limits = PERIODS.map((period) => hardLimit(periods[period])).filter((limit) => limit !== null);
    if (want === 0 || limits.length === 0) continue;
    if ((await grantLevel(db, account, epoch, limitsVersion, meter, Math.min(...limits), level + want)) === null) return false;
  }
  return true;
}
