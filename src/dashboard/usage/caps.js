/** The caps of one meter: seen, set, changed and removed where the meter stands. */
import { call, path } from "../api.js";
import { useNow } from "../clock.js";
import { amount, quantity, until } from "../figures.js";
import { html, useState } from "../lib.js";
import { useAction } from "../load.js";
import { Button } from "../parts/button.js";
import { Command } from "../parts/command.js";
import { Pill } from "../parts/pill.js";
import { ProblemNote } from "../parts/problem.js";
import { refresh } from "../session.js";
import { mayWrite } from "../store.js";
import { CapForm, commandOf } from "./cap-form.js";

/** @import { Cap, MeterStanding, Period, Usage } from "../types.ts" */

const STATES = { ok: "OK", warning: "Near", exceeded: "Reached" };

/** @param {{ standing: MeterStanding, usage: Usage }} props */
export function Caps({ standing, usage }) {
  const caps = usage.usageCaps.filter((c) => c.meter === standing.meter);
  const [editing, setEditing] = useState(/** @type {Period | "new" | null} */ (null));
  const done = () => setEditing(null);
  const free = ["day", "month"].filter((period) => !caps.some((c) => c.period === period));
  return html`<section class="caps" aria-label="Caps">
    <h3>Caps</h3>
    ${caps.length === 0 && editing === null && html`<p class="muted">None. A cap of your own is in force for the very next check; it can tighten the plan's limit, never loosen it.</p>`}
    ${caps.map((cap) =>
      editing === cap.period
        ? html`<${CapForm} key=${cap.period} standing=${standing} cap=${cap} periods=${[cap.period]} onDone=${done} />`
        : html`<${CapEntry} key=${cap.period} cap=${cap} unit=${standing.unit} onEdit=${() => setEditing(cap.period)} />`,
    )}
    ${
      editing === "new"
        ? html`<${CapForm} standing=${standing} cap=${null} periods=${free} onDone=${done} />`
        : free.length > 0 && mayWrite() && html`<${Button} icon="plus" onClick=${() => setEditing("new")}>Set a cap</${Button}>`
    }
  </section>`;
}

/** @param {{ cap: Cap, unit: string, onEdit: () => void }} props */
function CapEntry({ cap, unit, onEdit }) {
  const now = useNow();
  const { run, busy, problem } = useAction(async () => {
    await call("DELETE", path`/v1/usage/caps/${cap.meter}/${cap.period}`);
    await refresh();
  });
  return html`<div class="cap" data-cap=${cap.period}>
    <div class="cap-line">
      <strong>${amount(cap.capValue, unit)} a ${cap.period}</strong>
      <${Pill} state=${cap.state} text=${STATES[cap.state]} />
    </div>
    <p class="muted">
      ${quantity(cap.used, unit)} used, ${cap.hardStop ? "stops there" : "only tells"}, tells at ${cap.notifyAtPercent} %, resets
      ${until(cap.resetsAt, now)}
    </p>
    <${Command} text=${commandOf(cap)} />
    <${ProblemNote} problem=${problem} />
    ${
      mayWrite() &&
      html`<div class="row">
        <${Button} onClick=${onEdit}>Change</${Button}>
        <${Button} kind="danger" icon="trash" busy=${busy} onClick=${() => void run()}>Remove</${Button}>
      </div>`
    }
  </div>`;
}
