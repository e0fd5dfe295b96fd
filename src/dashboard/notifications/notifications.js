/** What the account was told, and where it is told. */
import { call } from "../api.js";
import { useNow } from "../clock.js";
import { ago, quantity } from "../figures.js";
import { html } from "../lib.js";
import { useLoad } from "../load.js";
import { Card, Head } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { Tag } from "../parts/pill.js";
import { useUnit } from "../parts/problem.js";
import { useShared } from "../store.js";
import { Webhooks } from "./webhooks.js";

/** @import { Notification } from "../types.ts" */

export const Notifications = () =>
  html`<${Head} title="Notifications" about="Each threshold is told once a window, here and to webhooks." />
    <${Feed} />
    <${Webhooks} />`;

function Feed() {
  const usage = useShared("usage");
  // A meter that changes its state has just been told of.
  const states = usage?.meters.map((m) => m.state).join("") ?? null;
  const read = useLoad(states, (signal) => call("GET", "/v1/notifications", { signal }));
  const told = /** @type {{ notifications: Notification[] } | null} */ (read.data)?.notifications;
  return html`<${Card} title="Told" flush=${true}>
    <${Listing}
      read=${read}
      items=${told}
      label="Notifications"
      columns=${["What", "", ">When"]}
      row=${(/** @type {Notification} */ n) => html`<${Line} key=${n.id} told=${n} />`}
      empty="Nothing has been told yet"
      hint=${html`A cap tells at 80 %: <code>weir limits set state_requests --period day --value 1000</code>`}
    />
  </${Card}>`;
}

/** @param {{ told: Notification }} props */
function Line({ told: { type, createdAt, data } }) {
  const now = useNow();
  const { meter, percent, limit, used, source, period } =
    /** @type {{ meter?: string, percent?: number, limit?: number, used?: number, source?: string, period?: string }} */ (data);
  const unit = useUnit(meter ?? null);
  const figures =
    limit === undefined
      ? ""
      : `${percent ?? 100} % of ${quantity(limit, unit)}: ${quantity(used ?? 0, unit)} used (${source}${period ? `, ${period}` : ""})`;
  return html`<tr>
    <td><${Tag}>${type}</${Tag}></td>
    <td class="break">${meter && html`<a href=${`#/usage/${meter}`}>${meter}</a>`} ${figures}</td>
    <td class="right"><time datetime=${createdAt} title=${createdAt}>${ago(createdAt, now)}</time></td>
  </tr>`;
}
