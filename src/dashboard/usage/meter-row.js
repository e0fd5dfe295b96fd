import { useNow } from "../clock.js";
import { amount, meterName, quantity, until } from "../figures.js";
import { classes, html } from "../lib.js";
import { Bar } from "../parts/bar.js";
import { Icon } from "../parts/icon.js";
import { Pill, Tag } from "../parts/pill.js";
import { placeOf } from "../route.js";
import { MeterDetails } from "./meter-details.js";

/** @import { MeterStanding, Usage } from "../types.ts" */

const STATES = { ok: "OK", warning: "Near", exceeded: "At limit" };

/** One meter: where it stands, and opened, its history and its caps.
 * @param {{ standing: MeterStanding, usage: Usage, opened: boolean }} props */
export function MeterRow({ standing, usage, opened }) {
  const { meter, unit, used, reserved, limit, state, source, period } = standing;
  const cap = usage.usageCaps.find((c) => c.meter === meter && c.period === period && source === "cap");
  const id = `meter-${meter}`;
  return html`<li class=${classes("meter", opened && "meter-opened")} id=${id} data-meter=${meter}>
    <a
      class="meter-line"
      href=${opened ? placeOf("usage") : placeOf("usage", meter)}
      aria-expanded=${String(opened)}
      aria-controls=${`${id}-details`}
    >
      <span class="meter-name">${meterName(meter)}<code>${meter}</code></span>
      <span class="meter-gauge">
        <span class="meter-figures">
          <span><strong>${quantity(used, unit)}</strong>${limit === null ? "" : ` of ${amount(limit, unit)}`}</span>
          <span class="muted">${limit === null ? "no limit" : share(standing)}</span>
        </span>
        <${Bar}
          used=${used}
          reserved=${reserved}
          limit=${limit}
          state=${state}
          mark=${cap?.notifyAtPercent ?? 80}
          label=${`${meterName(meter)} used`}
        />
        <${Outlook} standing=${standing} />
      </span>
      <span class="meter-state">
        ${limit === null ? html`<${Tag}>unlimited</${Tag}>` : html`<${Pill} state=${state} text=${STATES[state]} />`}
        <span class="muted">${origin(standing)}</span>
      </span>
      <span class="meter-open"><${Icon} name="chevron" /></span>
    </a>
    <div id=${`${id}-details`}>${opened && html`<${MeterDetails} standing=${standing} usage=${usage} />`}</div>
  </li>`;
}

/** @param {MeterStanding} m */
const share = ({ percent, remaining, unit }) => `${percent} % · ${quantity(remaining, unit)} left`;

/** @param {MeterStanding} m */
const origin = ({ source, period, kind }) => {
  if (source === null) return kind === "gauge" ? "a level" : "this month";
  return `${source === "cap" ? "your cap" : "plan"}${period ? ` · ${period}` : ""}`;
};

/** When it resets, and when it will be at its limit if it goes on like this.
 * @param {{ standing: MeterStanding }} props */
function Outlook({ standing }) {
  const now = useNow();
  const { resetsAt, projectedExhaustionAt, reserved, stranded, unit, kind, limit, state } = standing;
  const parts = [
    kind === "gauge" ? "does not reset" : limit === null ? null : `resets ${until(resetsAt, now)}`,
    reserved > 0 ? `${quantity(reserved, unit)} held or lent` : null,
    stranded > 0 ? `${quantity(stranded, unit)} stranded` : null,
  ].filter(Boolean);
  return html`<span class="meter-outlook">
    ${parts.join(" · ")}
    ${projectedExhaustionAt && state !== "exceeded" && html`<span class="forecast"><${Icon} name="clock" />at this rate full ${until(projectedExhaustionAt, now)}</span>`}
  </span>`;
}
