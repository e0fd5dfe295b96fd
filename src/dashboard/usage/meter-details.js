import { html } from "../lib.js";
import { useShared } from "../store.js";
import { Caps } from "./caps.js";
import { History } from "./history.js";

/** @import { MeterStanding, Usage } from "../types.ts" */

/** @param {{ standing: MeterStanding, usage: Usage }} props */
export function MeterDetails({ standing, usage }) {
  const pricing = useShared("pricing");
  const detail = pricing?.products.flatMap((p) => p.meter_details).find((d) => d.name === standing.meter);
  return html`<div class="meter-details">
    ${detail && html`<p class="muted">${detail.description}</p>`}
    <div class="split">
      <${History} standing=${standing} usage=${usage} />
      <${Caps} standing=${standing} usage=${usage} />
    </div>
  </div>`;
}
