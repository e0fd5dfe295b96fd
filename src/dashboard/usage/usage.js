/** Usage: every meter with its limit and where it will be, what was denied, and caps to set. */
import { useNow } from "../clock.js";
import { count, until, usd } from "../figures.js";
import { html, useState } from "../lib.js";
import { Button } from "../parts/button.js";
import { Card, Head, Skeleton, Stat } from "../parts/layout.js";
import { useShared } from "../store.js";
import { DenialFeed } from "./denial-feed.js";
import { MeterRow } from "./meter-row.js";

/** @import { MeterStanding, Pricing, Usage } from "../types.ts" */

/** @param {{ parts: string[] }} props */
export function UsageView({ parts: [opened = ""] }) {
  const usage = useShared("usage");
  const trouble = useShared("trouble");
  if (!usage)
    return html`<${Head} title="Usage" about=${trouble ?? "Reading the figures …"} /><${Card}><${Skeleton} lines=${8} /></${Card}>`;
  return html`<${Head} title="Usage" about=${html`<${Windows} usage=${usage} />`} />
    <${Summary} usage=${usage} />
    <${DenialFeed} />
    <${Meters} usage=${usage} opened=${opened} />`;
}

/** @param {{ usage: Usage }} props */
function Windows({ usage }) {
  const now = useNow();
  const { day, month } = usage.windows;
  return html`The day resets ${until(day.end, now)}, the billing month ${until(month.end, now)}.`;
}

/** @param {{ usage: Usage }} props */
function Summary({ usage }) {
  const denials = useShared("denials");
  const of = (/** @type {string} */ state) => usage.meters.filter((m) => m.state === state).length;
  const [reached, near] = [of("exceeded"), of("warning")];
  const denied = denials.reduce((sum, d) => sum + d.count, 0);
  const bill = usage.billingEstimate;
  return html`<dl class="stats">
    <${Stat}
      label="At a limit"
      value=${count(reached)}
      note=${reached ? "what needs them is denied" : "nothing is denied"}
      tone=${reached ? "bad" : ""}
    />
    <${Stat} label="Near a limit" value=${count(near)} note="past the notify mark" tone=${near ? "warning" : ""} />
    <${Stat} label="Denied lately" value=${count(denied)} note="in the last day" tone=${denied ? "bad" : ""} />
    <${Stat}
      label="This month so far"
      value=${usd(bill.estimatedMonthlyTotalUsdMicros)}
      note=${html`<a href="#/bill">how it adds up</a>`}
    />
  </dl>`;
}

/** @param {{ usage: Usage, opened: string }} props */
function Meters({ usage, opened }) {
  const pricing = useShared("pricing");
  const [all, setAll] = useState(false);
  const shown = usage.meters.filter((m) => all || m.meter === opened || isOfInterest(m));
  const groups = groupsOf(shown, pricing);
  const hidden = usage.meters.length - shown.length;
  return html`${groups.map(
    ({ title, about, meters }) =>
      html`<${Card} key=${title} title=${title} about=${about} flush=${true}>
        <ul class="meters">
          ${meters.map((m) => html`<${MeterRow} key=${m.meter} standing=${m} usage=${usage} opened=${m.meter === opened} />`)}
        </ul>
      </${Card}>`,
  )}
  ${(hidden > 0 || all) && html`<p class="center"><${Button} onClick=${() => setAll(!all)}>${all ? "Hide meters without usage" : `Show ${hidden} meters without usage`}</${Button}></p>`}`;
}

/** @param {MeterStanding} m */
const isOfInterest = (m) => m.used > 0 || m.reserved > 0 || m.source === "cap" || m.meter.startsWith("state_");

/** @param {MeterStanding[]} meters
 * @param {Pricing | null} pricing */
function groupsOf(meters, pricing) {
  const groups = (pricing?.products ?? []).map(({ name, summary, meters: names }) => ({
    title: name,
    about: summary,
    meters: meters.filter((m) => names.includes(m.meter)),
  }));
  const grouped = groups.filter((g) => g.meters.length > 0);
  // State is what this is for; the other products follow in the catalogue's order.
  grouped.sort((a, b) => Number(b.title === "State") - Number(a.title === "State"));
  return pricing ? grouped : [{ title: "Meters", about: "", meters }];
}
