/** The bill: the running month line by line, past invoices, and what another plan would cost. */
import { call, download, path } from "../api.js";
import { day, usd } from "../figures.js";
import { html, useState } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Card, Head } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { Pill } from "../parts/pill.js";
import { ProblemNote } from "../parts/problem.js";
import { useShared } from "../store.js";
import { Lines } from "./lines.js";
import { Simulator } from "./simulator.js";

/** @import { Invoice } from "../types.ts" */

export function Bill() {
  const account = useShared("account");
  const usage = useShared("usage");
  const read = useLoad(account, (signal) => call("GET", "/v1/invoices/upcoming", { signal }));
  const invoice = /** @type {Invoice | null} */ (read.data);
  const again = html`<${Button} kind="quiet" icon="again" busy=${read.loading} onClick=${read.reload}>Reckon again</${Button}>`;
  return html`<${Head}
      title="Bill"
      about=${invoice ? `${day(invoice.period.start)} to ${day(invoice.period.end)}, as if nothing more were used` : "The running month"}
    />
    <${Card}
      title=${invoice ? `So far ${usd(invoice.totalUsdMicros)}` : "So far"}
      about="Open a line to see how it comes about."
      actions=${again}
      flush=${true}
    >
      <${Lines} read=${read} lines=${invoice?.lines} />
    </${Card}>
    ${(usage?.billingEstimate.nextActions ?? []).map((text) => html`<p class="note" key=${text}>${text}</p>`)}
    <${Invoices} />
    ${usage && html`<${Simulator} usage=${usage} />`}`;
}

function Invoices() {
  const account = useShared("account");
  const [opened, setOpened] = useState(/** @type {string | null} */ (null));
  const read = useLoad(account, (signal) => call("GET", "/v1/invoices", { signal }));
  const invoices = /** @type {{ invoices: Invoice[] } | null} */ (read.data)?.invoices;
  const save = useAction((/** @type {Invoice} */ { id }, /** @type {string} */ form) =>
    download(path`/v1/invoices/${id}` + form, id + form),
  );
  const row = (/** @type {Invoice} */ i) =>
    html`<tr key=${i.id}>
      <td><strong>${i.number === null ? "draft" : `№ ${i.number}`}</strong><br /><code class="muted">${i.id}</code></td>
      <td>${day(i.period.start)} – ${day(i.period.end)}</td>
      <td><${Pill} state=${i.state} /></td>
      <td class="right">${usd(i.totalUsdMicros)}</td>
      <td class="right">
        <div class="row nowrap">
          <${Button} expanded=${opened === i.id} onClick=${() => setOpened(opened === i.id ? null : i.id)}>Lines</${Button}>
          <${Button} kind="quiet" icon="down" onClick=${() => void save.run(i, ".pdf")}>PDF</${Button}>
          <${Button} kind="quiet" icon="down" onClick=${() => void save.run(i, ".csv")}>CSV</${Button}>
        </div>
      </td>
    </tr>`;
  const shown = invoices?.find((i) => i.id === opened);
  return html`<${Card} title="Invoices" flush=${true}>
    <${ProblemNote} problem=${save.problem} />
    <${Listing}
      read=${read}
      items=${invoices}
      label="Invoices"
      columns=${["Invoice", "Month", "State", ">Total", ""]}
      row=${row}
      empty="No invoice yet"
      hint="A month's is drafted when it ends, if there is anything to bill."
    />
    ${shown && html`<${Lines} read=${read} lines=${shown.lines} />`}
  </${Card}>`;
}
