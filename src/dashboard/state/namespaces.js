import { call, path } from "../api.js";
import { bytes, moment } from "../figures.js";
import { html, useState } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Confirm } from "../parts/confirm.js";
import { Field, Form } from "../parts/field.js";
import { Card } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { ProblemNote } from "../parts/problem.js";
import { placeOf } from "../route.js";
import { mayWrite } from "../store.js";

/** @import { Namespace } from "../types.ts" */

/** @param {{ service: string }} props */
export function Namespaces({ service }) {
  const url = path`/v1/services/${service}/state/namespaces`;
  const [doomed, setDoomed] = useState(/** @type {Namespace | null} */ (null));
  const read = useLoad(url, (signal) => call("GET", url, { query: { limit: 1000 }, signal }));
  const namespaces = /** @type {{ namespaces: Namespace[] } | null} */ (read.data)?.namespaces;
  const row = (/** @type {Namespace} */ n) =>
    html`<tr key=${n.id}>
      <td>
        <a href=${placeOf("state", service, n.name)}><strong>${n.name}</strong></a>
      </td>
      <td><code>${n.id}</code></td>
      <td class="right">${bytes(n.storageBytes)}</td>
      <td>${moment(n.createdAt)}</td>
      <td class="right">
        ${mayWrite() && html`<${Button} kind="quiet" icon="trash" label=${`Delete ${n.name}`} onClick=${() => setDoomed(n)} />`}
      </td>
    </tr>`;
  return html`<${Card} title="Namespaces" about=${`State classes of ${service}`} flush=${true}>
    <${Listing}
      read=${read}
      items=${namespaces}
      label="Namespaces"
      columns=${["Namespace", "Id", ">Stored", "Since", ""]}
      row=${row}
      empty="No namespace yet"
    />
    ${mayWrite() && html`<${NewNamespace} url=${url} onMade=${read.reload} />`}
    ${doomed && html`<${Removal} url=${url} doomed=${doomed} onDone=${() => (setDoomed(null), read.reload())} onClose=${() => setDoomed(null)} />`}
  </${Card}>`;
}

/** @param {{ url: string, onMade: () => void }} props */
function NewNamespace({ url, onMade }) {
  const [name, setName] = useState("");
  const { run, busy, problem } = useAction(async () => {
    await call("POST", url, { body: { name } });
    setName("");
    onMade();
  });
  return html`<div class="pad stack">
    <${Form} row=${true} onSubmit=${run}>
      <div class="grow"><${Field} label="New namespace" value=${name} onInput=${setName} placeholder="Room" /></div>
      <${Button} kind="primary" type="submit" icon="plus" busy=${busy} disabled=${name === ""}>Create</${Button}>
    </${Form}>
    <${ProblemNote} problem=${problem} />
  </div>`;
}

/** @param {{ url: string, doomed: Namespace, onDone: () => void, onClose: () => void }} props */
function Removal({ url, doomed, onDone, onClose }) {
  const { run, busy, problem } = useAction(async () => {
    await call("DELETE", url + path`/${doomed.name}`);
    onDone();
  });
  return html`<${Confirm}
    title=${`Delete ${doomed.name}?`}
    action="Delete it with its objects"
    busy=${busy}
    onConfirm=${() => void run()}
    onClose=${onClose}
  >
    <p>Every object in it goes, ${bytes(doomed.storageBytes)} in all. This cannot be undone.</p>
    <${ProblemNote} problem=${problem} />
  </${Confirm}>`;
}
