import { call, path } from "../api.js";
import { html, useState } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Command } from "../parts/command.js";
import { Confirm } from "../parts/confirm.js";
import { Field, Form } from "../parts/field.js";
import { Card } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { Pill } from "../parts/pill.js";
import { ProblemNote } from "../parts/problem.js";
import { mayWrite, useShared } from "../store.js";
import { Deliveries } from "./deliveries.js";

/** @import { Webhook } from "../types.ts" */

export function Webhooks() {
  const account = useShared("account");
  const [opened, setOpened] = useState(/** @type {string | null} */ (null));
  const [doomed, setDoomed] = useState(/** @type {Webhook | null} */ (null));
  const read = useLoad(account, (signal) => call("GET", "/v1/webhooks", { signal }));
  const webhooks = /** @type {{ webhooks: Webhook[] } | null} */ (read.data)?.webhooks;
  const act = useAction(async (/** @type {Webhook} */ hook, /** @type {string} */ what) => {
    await call(what === "" ? "DELETE" : "POST", path`/v1/webhooks/${hook.id}` + what);
    setDoomed(null);
    read.reload();
  });
  const row = (/** @type {Webhook} */ w) =>
    html`<tr key=${w.id}>
      <td class="break"><strong>${w.url}</strong><br /><span class="muted">${w.description ?? w.id}</span></td>
      <td>${w.events.length === 0 ? "all" : w.events.join(", ")}</td>
      <td><${Pill} state=${w.status} /></td>
      <td class="right">
        <div class="row nowrap">
          <${Button} expanded=${opened === w.id} onClick=${() => setOpened(opened === w.id ? null : w.id)}>Deliveries</${Button}>
          ${w.status === "disabled" && html`<${Button} busy=${act.busy} onClick=${() => void act.run(w, "/enable")}>Enable</${Button}>`}
          ${mayWrite() && html`<${Button} kind="quiet" icon="trash" label=${`Delete ${w.url}`} onClick=${() => setDoomed(w)} />`}
        </div>
      </td>
    </tr>`;
  return html`<${Card} title="Webhooks" about="Signed as Standard Webhooks has it, retried for a day." flush=${true}>
      <${Listing}
        read=${read}
        items=${webhooks}
        label="Webhooks"
        columns=${["Endpoint", "Events", "State", ""]}
        row=${row}
        empty="No webhook yet"
        hint=${html`<code>weir webhooks create https://example.com/hook</code>`}
      />
      ${mayWrite() && html`<${NewWebhook} onMade=${read.reload} />`}
      ${
        doomed &&
        html`<${Confirm}
          title="Delete this webhook?"
          action="Delete"
          busy=${act.busy}
          onConfirm=${() => void act.run(doomed, "")}
          onClose=${() => setDoomed(null)}
        >
          <p>${doomed.url} is told nothing more, and its deliveries are forgotten.</p>
          <${ProblemNote} problem=${act.problem} />
        </${Confirm}>`
      }
    </${Card}>
    ${opened !== null && html`<${Deliveries} key=${opened} id=${opened} />`}`;
}

/** @param {{ onMade: () => void }} props */
function NewWebhook({ onMade }) {
  const [url, setUrl] = useState("");
  const [secret, setSecret] = useState("");
  const { run, busy, problem } = useAction(async () => {
    const made = /** @type {Webhook} */ (await call("POST", "/v1/webhooks", { body: { url } }));
    setSecret(made.secret ?? "");
    setUrl("");
    onMade();
  });
  return html`<div class="pad stack">
    <${Form} row=${true} onSubmit=${run}>
      <div class="grow">
        <${Field} label="New endpoint" type="url" value=${url} onInput=${setUrl} placeholder="https://example.com/hook" required=${true} />
      </div>
      <${Button} kind="primary" icon="plus" type="submit" busy=${busy}>Add</${Button}>
    </${Form}>
    <${ProblemNote} problem=${problem} />
    ${
      secret &&
      html`<div class="note">
        <div>
          <p class="note-title">Its secret, shown this once</p>
          <${Command} text=${secret} />
        </div>
      </div>`
    }
  </div>`;
}
