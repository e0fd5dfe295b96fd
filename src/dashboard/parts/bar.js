import { classes, html } from "../lib.js";

/** @import { LimitState } from "../types.ts" */

/** A bar is full only at 100 % and empty only at 0 %: a limit that still admits one unit must not look reached.
 * @param {number} percent */
const shown = (percent) => (percent >= 100 ? 100 : percent <= 0 ? 0 : Math.min(99, Math.max(1, percent)));

/** How much of a limit is used and held; with a mark where the account is told.
 * @param {{ used: number, reserved?: number, limit: number | null, state: LimitState, label: string, mark?: number | null }} props */
export function Bar({ used, reserved = 0, limit, state, label, mark = null }) {
  if (limit === null) return html`<div class="bar bar-open" role="img" aria-label=${`${label}: no limit`}></div>`;
  const share = (/** @type {number} */ n) => (limit === 0 ? 100 : (n / limit) * 100);
  const filled = shown(share(used));
  const held = Math.min(100 - filled, reserved > 0 ? Math.max(1, share(reserved)) : 0);
  return html`<div
    class=${classes("bar", `bar-${state}`)}
    role="meter"
    aria-label=${label}
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.round(filled)}
  >
    <span class="bar-used" style=${{ width: `${filled}%` }}></span>
    ${held > 0 && html`<span class="bar-held" style=${{ width: `${held}%` }}></span>`}
    ${mark !== null && mark < 100 && html`<span class="bar-mark" style=${{ left: `${mark}%` }}></span>`}
  </div>`;
}
