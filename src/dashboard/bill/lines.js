import { count, usd } from "../figures.js";
import { html } from "../lib.js";
import { Listing } from "../parts/listing.js";

/** @import { InvoiceLine } from "../types.ts" */
/** @import { Loaded } from "../load.js" */

/** @param {number | string} n */
const figure = (n) => (typeof n === "number" ? count(n) : n);

/** Lines with their arithmetic on demand.
 * @param {{ read: Loaded<unknown>, lines: InvoiceLine[] | undefined }} props */
export const Lines = ({ read, lines }) =>
  html`<${Listing}
    read=${read}
    items=${lines}
    label="Lines"
    columns=${["Line", ">Quantity", ">Included", ">Amount"]}
    row=${Line}
    empty="Nothing to bill"
  />`;

/** @param {InvoiceLine} line */
const Line = (line) =>
  html`<tr key=${`${line.kind} ${line.meter} ${line.period.start}`}>
    <td class="break">
      <details>
        <summary>${line.description}</summary>
        <p class="hint">${line.explain.text}</p>
        ${line.tiers?.map((t) => html`<p class="hint" key=${t.from}>From ${figure(t.from)}: ${figure(t.units)} × ${t.priceUsdMicros} µ$ = ${usd(t.amountUsdMicros)}</p>`)}
      </details>
    </td>
    <td class="right">${line.meter && figure(line.quantity)}</td>
    <td class="right">${line.meter && figure(line.included)}</td>
    <td class="right">${usd(line.amountUsdMicros)}</td>
  </tr>`;
