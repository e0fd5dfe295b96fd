/** What the calls of this page have counted: looking at state is metered like everything else. */
import { count, meterName } from "../figures.js";
import { html, useEffect, useState } from "../lib.js";
import { whenMetered } from "../api.js";

const tally = /** @type {Map<string, number>} */ (new Map());

/** `state_requests=1, state_sqlite_rows_read=3` → pairs.
 * @param {string} header
 * @returns {[string, number][]} */
const pairsOf = (header) => header.split(", ").map((pair) => [pair.slice(0, pair.indexOf("=")), Number(pair.slice(pair.indexOf("=") + 1))]);

/** @param {Iterable<[string, number]>} pairs */
const words = (pairs) =>
  [...pairs].map(([meter, n]) => `${count(n)} ${meterName(meter.replace(/^state_(sqlite_)?/, "")).toLowerCase()}`).join(", ");

/** The last call and its cost, and the cost of all calls since the page was opened. */
export function CostLine() {
  const [last, setLast] = useState(/** @type {{ what: string, cost: string } | null} */ (null));
  useEffect(() => {
    whenMetered((what, cost) => {
      for (const [meter, n] of pairsOf(cost)) tally.set(meter, (tally.get(meter) ?? 0) + n);
      setLast({ what, cost });
    });
    return () => whenMetered(() => {});
  }, []);
  return html`<div class="cost" role="status">
    ${
      last
        ? html`<p><strong>${words(pairsOf(last.cost))}</strong> for <code>${last.what}</code></p>
            <p class="muted">Since this page was opened: ${words(tally)}</p>`
        : html`<p class="muted">Every call made here is metered like any other; its cost is shown.</p>`
    }
  </div>`;
}
