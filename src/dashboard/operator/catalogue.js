import { call, path } from "../api.js";
import { moment } from "../figures.js";
import { html, useState } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Form, TextArea } from "../parts/field.js";
import { Card } from "../parts/layout.js";
import { Listing } from "../parts/listing.js";
import { ProblemNote } from "../parts/problem.js";

/** @import { CatalogChange, CatalogEntry } from "../types.ts" */

/** What is sold, version by version, and a change to try before it is applied. */
export function Catalogue() {
  const [opened, setOpened] = useState(/** @type {number | null} */ (null));
  const read = useLoad("versions", (signal) => call("GET", "/v1/catalog/versions", { withoutAccount: true, signal }));
  const versions = /** @type {{ versions: CatalogEntry[] } | null} */ (read.data)?.versions;
  const row = (/** @type {CatalogEntry} */ v) =>
    html`<tr key=${v.version}>
      <td><strong>${v.version}</strong></td>
      <td>${moment(v.appliedAt)}</td>
      <td class="right">
        ${v.version > 1 && html`<${Button} expanded=${opened === v.version} onClick=${() => setOpened(opened === v.version ? null : v.version)}>What changed</${Button}>`}
      </td>
    </tr>`;
  return html`<${Card} title="Catalogue" about="Versions, the newest in force. None is ever changed." flush=${true}>
    <${Listing} read=${read} items=${versions} label="Versions" columns=${["Version", "Applied", ""]} row=${row} empty="No version" />
    <div class="pad stack">
      ${opened !== null && html`<${Difference} key=${opened} version=${opened} />`}
      <${Trial} onApplied=${read.reload} />
    </div>
  </${Card}>`;
}

/** @param {{ version: number }} props */
function Difference({ version }) {
  const read = useLoad(String(version), (signal) =>
    call("GET", path`/v1/catalog/versions/${String(version)}/changes`, { withoutAccount: true, signal }),
  );
  return html`<${ProblemNote} problem=${read.problem} /><${Changes}
      changes=${/** @type {{ changes: CatalogChange[] } | null} */ (read.data)?.changes}
    />`;
}

/** @param {{ changes: CatalogChange[] | undefined }} props */
const Changes = ({ changes }) =>
  html`<ul class="changes" role="status">
    ${changes?.length === 0 && html`<li>It says the same as before.</li>`}
    ${changes?.map((c) => html`<li key=${c.path} class=${c.kind}>${c.text}</li>`)}
  </ul>`;

/** @param {{ onApplied: () => void }} props */
function Trial({ onApplied }) {
  const [text, setText] = useState("");
  const [changes, setChanges] = useState(/** @type {CatalogChange[] | undefined} */ (undefined));
  const send = useAction(async (/** @type {"POST" | "PUT"} */ method) => {
    const body = JSON.parse(text);
    const answer = /** @type {{ changes?: CatalogChange[] }} */ (
      await call(method, method === "POST" ? "/v1/catalog/changes" : "/v1/catalog", { body, withoutAccount: true })
    );
    setChanges(answer.changes);
    if (method === "PUT") onApplied();
  });
  return html`<${Form} onSubmit=${() => void send.run("POST")}>
    <${TextArea}
      label="Lay over it"
      value=${text}
      onInput=${(/** @type {string} */ value) =>
        (setChanges(undefined), setText(value))}
      rows=${4}
      hint="JSON with any of products, meters, operations and plans, as for weir catalog apply."
    />
    <${ProblemNote} problem=${send.problem} />
    <${Changes} changes=${changes} />
    <div class="row">
      <${Button} type="submit" busy=${send.busy} disabled=${text === ""}>See what it changes</${Button}>
      ${changes && changes.length > 0 && html`<${Button} kind="primary" busy=${send.busy} onClick=${() => void send.run("PUT")}>Put into force</${Button}>`}
    </div>
  </${Form}>`;
}
