/** One object: its keys, a value to read, write or delete, and its alarm. */
import { call, path } from "../api.js";
import { bytes, moment } from "../figures.js";
import { classes, html, useState } from "../lib.js";
import { useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Card, Empty, Skeleton } from "../parts/layout.js";
import { ProblemNote } from "../parts/problem.js";
import { Alarm } from "./alarm.js";
import { ValueEditor } from "./value.js";

/** @import { Entry } from "../types.ts" */

/** @param {{ service: string, namespace: string, object: string }} props */
export function ObjectView({ service, namespace, object }) {
  const base = path`/v1/services/${service}/state/namespaces/${namespace}/objects/${object}`;
  const [chosen, setChosen] = useState(/** @type {string | null} */ (null));
  const read = useLoad(base, (signal) => call("GET", `${base}/keys`, { query: { limit: 1000 }, signal }));
  const found = /** @type {{ keys: Entry[], listComplete: boolean } | null} */ (read.data);
  const absent = read.problem?.status === 404;
  const changed = (/** @type {string | null} */ key) => {
    setChosen(key);
    read.reload();
  };
  return html`<div class="split split-even">
    <${Card} title="Keys" actions=${html`<${Button} icon="plus" onClick=${() => setChosen("")}>New value</${Button}>`} flush=${true}>
      ${!absent && html`<${ProblemNote} problem=${read.problem} onRetry=${read.reload} />`}
      ${!found && !read.problem && html`<${Skeleton} />`}
      ${(absent || found?.keys.length === 0) && html`<${Empty} title="No key yet"><p>The first write makes the object.</p></${Empty}>`}
      <ul class="keys">
        ${found?.keys.map(
          (entry) =>
            html`<li key=${entry.key}>
              <button
                type="button"
                class=${classes("key", entry.key === chosen && "key-chosen")}
                aria-pressed=${String(entry.key === chosen)}
                onClick=${() => setChosen(entry.key)}
              >
                <span class="grow break">${entry.key}</span><span>${bytes(entry.valueSizeBytes)}</span
                ><span class="muted">${moment(entry.updatedAt)}</span>
              </button>
            </li>`,
        )}
      </ul>
      ${found && !found.listComplete && html`<p class="pad muted">The first 1,000 are shown.</p>`}
    </${Card}>
    <div class="stack">
      ${chosen === null ? html`<${Card} title="Value"><p class="muted">Choose a key to read its value: one row.</p></${Card}>` : html`<${ValueEditor} key=${chosen} base=${base} name=${chosen} onChanged=${changed} />`}
      <${Alarm} base=${base} />
    </div>
  </div>`;
}
