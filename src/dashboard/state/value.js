import { call, path } from "../api.js";
import { bytes, moment } from "../figures.js";
import { html, useEffect, useState } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button, Choice } from "../parts/button.js";
import { Confirm } from "../parts/confirm.js";
import { Field, Form, TextArea } from "../parts/field.js";
import { Card, Skeleton } from "../parts/layout.js";
import { ProblemNote } from "../parts/problem.js";
import { mayWrite } from "../store.js";

/** @import { StoredValue } from "../types.ts" */

const ENCODINGS = [
  ["text", "Text"],
  ["base64", "Base64"],
];

/** A value to read, write and delete; `name` is "" for a new one.
 * @param {{ base: string, name: string, onChanged: (key: string | null) => void }} props */
export function ValueEditor({ base, name, onChanged }) {
  const read = useLoad(name === "" ? null : name, (signal) => call("GET", base + path`/values/${name}`, { signal }));
  const stored = /** @type {StoredValue | null} */ (read.data);
  const [key, setKey] = useState(name);
  const [value, setValue] = useState("");
  const [encoding, setEncoding] = useState("text");
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!stored) return;
    setEncoding(stored.valueText === null ? "base64" : "text");
    setValue(stored.valueText ?? stored.valueBase64);
  }, [stored]);
  const write = useAction(async () => {
    await call("PUT", base + path`/values/${key}`, { body: { value, encoding } });
    onChanged(key);
  });
  const remove = useAction(async () => {
    await call("DELETE", base + path`/values/${name}`);
    onChanged(null);
  });
  const submit = () => {
    void write.run();
  };
  if (name !== "" && read.loading) return html`<${Card} title=${name}><${Skeleton} /></${Card}>`;
  const about = stored && `${bytes(stored.entry.valueSizeBytes)}, written ${moment(stored.entry.updatedAt)}`;
  return html`<${Card} title=${name || "New value"} about=${about}>
    <${ProblemNote} problem=${read.problem} />
    <${Form} onSubmit=${submit}>
      ${name === "" && html`<${Field} label="Key" value=${key} onInput=${setKey} required=${true} spellcheck=${false} />`}
      <${TextArea} label="Value" value=${value} onInput=${setValue} rows=${8} hint="Key and value together: 2 MiB at most." />
      <${Choice} label="Encoding" value=${encoding} options=${ENCODINGS} onChange=${setEncoding} />
      <${ProblemNote} problem=${write.problem} />
      ${
        mayWrite() &&
        html`<div class="row">
          <${Button} kind="primary" type="submit" busy=${write.busy} disabled=${key === ""}>Write</${Button}>
          ${name !== "" && html`<${Button} kind="danger" icon="trash" onClick=${() => setAsked(true)}>Delete</${Button}>`}
        </div>`
      }
    </${Form}>
    ${
      asked &&
      html`<${Confirm}
        title="Delete this value?"
        action="Delete"
        busy=${remove.busy}
        onConfirm=${() => void remove.run()}
        onClose=${() => setAsked(false)}
      >
        <p><code>${name}</code> cannot be brought back.</p>
        <${ProblemNote} problem=${remove.problem} />
      </${Confirm}>`
    }
  </${Card}>`;
}
