import { useNow } from "../clock.js";
import { ago, count } from "../figures.js";
import { html, useState } from "../lib.js";
import { Button } from "../parts/button.js";
import { Card } from "../parts/layout.js";
import { DenialLine } from "../parts/problem.js";
import { useShared } from "../store.js";

/** @import { RecentDenial } from "../types.ts" */

const SHOWN = 3;

/** What was denied lately, as it happens. Nothing is drawn while nothing was. */
export function DenialFeed() {
  const denials = useShared("denials");
  const [all, setAll] = useState(false);
  if (denials.length === 0) return null;
  const shown = all ? denials : denials.slice(0, SHOWN);
  const more =
    denials.length > SHOWN &&
    html`<${Button} kind="quiet" onClick=${() => setAll(!all)}>${all ? "Fewer" : `All ${denials.length}`}</${Button}>`;
  return html`<${Card} title="Denied lately" about="Each was answered before the write, and changed nothing." actions=${more} flush=${true}>
    <ol class="denials" aria-live="polite">
      ${shown.map((d) => html`<${Line} key=${`${d.at} ${d.object} ${d.denials[0]?.meter}`} denied=${d} />`)}
    </ol>
  </${Card}>`;
}

/** @param {{ denied: RecentDenial }} props */
function Line({ denied }) {
  const now = useNow();
  const { at, count: times, denials, operation } = denied;
  const where = [denied.service, denied.namespace, denied.object].filter(Boolean).join(" / ");
  return html`<li>
    <div class="denial-head">
      <strong>${operation ?? "check"}</strong>${times > 1 && html`<span class="muted">× ${count(times)}</span>`}
      ${where && html`<code>${where}</code>`}
      <time datetime=${at} title=${at}>${ago(at, now)}</time>
    </div>
    ${denials.map((d, i) => html`<${DenialLine} key=${i} denial=${d} />`)}
  </li>`;
}
