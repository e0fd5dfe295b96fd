import { call, path } from "../api.js";
import { pause } from "../clock.js";
import { moment } from "../figures.js";
import { html } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Card } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { Pill } from "../parts/pill.js";
import { ProblemNote } from "../parts/problem.js";
import { mayWrite } from "../store.js";

/** @import { Delivery } from "../types.ts" */

/** An attempt is made within a second or so. */
const LOOK_AGAIN_MS = 1_500;

/** What was sent to an endpoint, how it answered, and sending again.
 * @param {{ id: string }} props */
export function Deliveries({ id }) {
  const base = path`/v1/webhooks/${id}`;
  const read = useLoad(base, (signal) => call("GET", `${base}/deliveries`, { signal }));
  const deliveries = /** @type {{ deliveries: Delivery[] } | null} */ (read.data)?.deliveries;
  const sending = useAction(async (/** @type {string} */ what) => {
    await call("POST", base + what);
    read.reload();
    await pause(LOOK_AGAIN_MS);
    read.reload();
  });
  const row = (/** @type {Delivery} */ d) =>
    html`<tr key=${d.id}>
      <td>${d.type}<br /><code class="muted">${d.messageId}</code></td>
      <td><${Pill} state=${d.status} /></td>
      <td class="break">${outcome(d)}</td>
      <td class="right">${moment(d.createdAt)}</td>
      <td class="right">
        ${mayWrite() && html`<${Button} icon="again" busy=${sending.busy} onClick=${() => void sending.run(path`/deliveries/${d.id}/replay`)}>Replay</${Button}>`}
      </td>
    </tr>`;
  const actions = html`<${Button} kind="quiet" icon="again" label="Read again" onClick=${read.reload} />
    ${mayWrite() && html`<${Button} busy=${sending.busy} onClick=${() => void sending.run("/test")}>Send a test</${Button}>`}`;
  return html`<${Card} title="Deliveries" about=${html`To <code>${id}</code>`} actions=${actions} flush=${true}>
    <${ProblemNote} problem=${sending.problem} />
    <${Listing}
      read=${read}
      items=${deliveries}
      label="Deliveries"
      columns=${["Message", "State", "Last answer", ">Made", ""]}
      row=${row}
      empty="Nothing was sent to it yet"
      hint="Send a test."
    />
  </${Card}>`;
}

/** @param {Delivery} d */
function outcome({ attempts: [last], attemptCount, nextAttemptAt }) {
  if (!last) return "not tried yet";
  const answer = last.statusCode === null ? (last.error ?? "no answer") : `${last.statusCode} in ${last.latencyMs} ms`;
  return `${answer}, attempt ${attemptCount}${nextAttemptAt ? `, next ${moment(nextAttemptAt)}` : ""}`;
}
