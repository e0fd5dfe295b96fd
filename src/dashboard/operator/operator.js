/** For whoever runs Weir: who is at a limit, whether all is well, and what is sold. */
import { call } from "../api.js";
import { amount, until } from "../figures.js";
import { useNow } from "../clock.js";
import { html } from "../lib.js";
import { useLoad } from "../load.js";
import { Bar } from "../parts/bar.js";
import { Button } from "../parts/button.js";
import { Card, Head } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { Pill } from "../parts/pill.js";
import { goTo } from "../route.js";
import { showAccount } from "../session.js";
import { Catalogue } from "./catalogue.js";

/** @import { Finding, Standing } from "../types.ts" */

const STATES = { ok: "OK", warning: "Near", exceeded: "Stopped" };

export const Operator = () =>
  html`<${Head} title="Operator" about="All accounts, the stores behind them, and the catalogue." />
    <${Standings} />
    <${Health} />
    <${Catalogue} />`;

function Standings() {
  const now = useNow();
  const read = useLoad("standings", (signal) => call("GET", "/v1/standings", { withoutAccount: true, signal }));
  const standings = /** @type {{ standings: Standing[] } | null} */ (read.data)?.standings;
  const open = (/** @type {Standing} */ s) => {
    showAccount(s.account);
    goTo("usage", s.meter);
  };
  const row = (/** @type {Standing} */ s) =>
    html`<tr key=${`${s.account} ${s.meter}`}>
      <td><button type="button" class="link" onClick=${() => open(s)}>${s.account}</button><br /><span class="muted">${s.plan}</span></td>
      <td>
        ${s.meter}<${Bar} used=${s.used} reserved=${s.reserved} limit=${s.limit} state=${s.state} label=${`${s.meter} of ${s.account}`} />
      </td>
      <td><${Pill} state=${s.state} text=${s.state === "exceeded" && !s.hardStop ? "Past it" : STATES[s.state]} /></td>
      <td class="right">
        ${amount(s.used, s.unit)} of ${amount(s.limit, s.unit)}<br /><span class="muted"
          >${s.source}${s.resetsAt ? `, resets ${until(s.resetsAt, now)}` : ""}</span
        >
      </td>
    </tr>`;
  return html`<${Card} title="Near a limit, or stopped" actions=${html`<${Again} read=${read} />`} flush=${true}>
    <${Listing}
      read=${read}
      items=${standings}
      label="Accounts near a limit"
      columns=${["Account", "Meter", "State", ">Used"]}
      row=${row}
      empty="Nobody is near a limit"
    />
  </${Card}>`;
}

function Health() {
  const read = useLoad("doctor", (signal) => call("GET", "/v1/doctor", { withoutAccount: true, signal }));
  const findings = /** @type {{ findings: Finding[] } | null} */ (read.data)?.findings;
  const row = (/** @type {Finding} */ f) =>
    html`<tr key=${f.check}>
      <td>${f.check}</td>
      <td><${Pill} state=${f.state} /></td>
      <td class="break">${f.found}${f.remedy && html`<p class="hint">→ ${f.remedy}</p>`}</td>
    </tr>`;
  return html`<${Card}
    title="Health"
    about="The stores, the roll-up, stranded budget and the ledger's invariants."
    actions=${html`<${Again} read=${read} />`}
    flush=${true}
  >
    <${Listing}
      read=${read}
      items=${findings}
      label="Findings"
      columns=${["Looked at", "State", "Found"]}
      row=${row}
      empty="Nothing was found"
    />
  </${Card}>`;
}

/** @param {{ read: { loading: boolean, reload: () => void } }} props */
const Again = ({ read }) => html`<${Button} kind="quiet" icon="again" busy=${read.loading} onClick=${read.reload}>Look again</${Button}>`;
