/** What went wrong, and for a denial: why, until when, and what helps. */
import { amount, quantity, until } from "../figures.js";
import { useNow } from "../clock.js";
import { html } from "../lib.js";
import { placeOf } from "../route.js";
import { useShared } from "../store.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

/** @import { Denial, Problem } from "../types.ts" */

/** @param {{ problem: Problem | null, onRetry?: () => void }} props */
export function ProblemNote({ problem, onRetry }) {
  if (problem === null) return null;
  const denied = (problem.denials ?? []).length > 0;
  return html`<div class="note note-bad" role="alert">
    <${Icon} name=${denied ? "exceeded" : "warning"} />
    <div>
      <p class="note-title">${denied ? "Denied: nothing was changed" : (TITLES[problem.code] ?? "That did not work")}</p>
      ${denied ? problem.denials?.map((d, i) => html`<${DenialLine} key=${i} denial=${d} />`) : html`<p>${problem.message}</p>`}
      ${
        (problem.errors ?? []).length > 1 &&
        html`<ul>
          ${problem.errors?.map((e) => html`<li key=${e.path}>${e.path}: ${e.message}</li>`)}
        </ul>`
      }
      ${onRetry && html`<${Button} icon="again" onClick=${onRetry}>Try again</${Button}>`}
    </div>
  </div>`;
}

/** @type {Record<string, string>} */
const TITLES = {
  unavailable: "Nothing was decided",
  forbidden: "This key may not do that",
  not_found: "Not there",
  unauthorized: "Not signed in",
};

/** One limit that refused, in sentences.
 * @param {{ denial: Denial }} props */
export function DenialLine({ denial }) {
  const now = useNow();
  const unit = useUnit(denial.meter);
  const held = denial.reserved > 0 ? ` and ${quantity(denial.reserved, unit)} held` : "";
  return html`<div class="denial">
    <p>
      <strong>${denial.meter ?? "The payload"}</strong>: ${amount(denial.requested, unit)} asked for, with
      ${quantity(denial.used, unit)}${held} of ${" "}${amount(denial.limit, unit)} used (${source(denial)}).
    </p>
    <p class="muted">
      ${denial.resetsAt ? html`Free again ${until(denial.resetsAt, now)}. ` : ""} ${denial.remedy}
      ${denial.meter && denial.source !== "ceiling" && html` <a href=${placeOf("usage", denial.meter)}>See the limit</a>`}
    </p>
  </div>`;
}

/** @param {Denial} denial */
const source = ({ source: of, scope, period }) =>
  of === "cap"
    ? `your ${period ? `${period} ` : ""}cap`
    : of === "plan"
      ? `the plan's ${period ? `${period} ` : ""}limit`
      : `the ceiling of one ${scope}`;

/** The unit of a meter; bytes for a payload.
 * @param {string | null} meter */
export function useUnit(meter) {
  const usage = useShared("usage");
  return meter === null ? "byte" : (usage?.meters.find((m) => m.meter === meter)?.unit ?? "");
}
