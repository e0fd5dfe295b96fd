import { call } from "../api.js";
import { useNow } from "../clock.js";
import { moment, until } from "../figures.js";
import { html, useState } from "../lib.js";
import { useAction, useLoad } from "../load.js";
import { Button } from "../parts/button.js";
import { Field, Form } from "../parts/field.js";
import { Card } from "../parts/layout.js";
import { ProblemNote } from "../parts/problem.js";
import { mayWrite } from "../store.js";

/** @import { AlarmState } from "../types.ts" */

/** The one alarm of an object; read when asked for, since that is metered too.
 * @param {{ base: string }} props */
export function Alarm({ base }) {
  const now = useNow();
  const [seconds, setSeconds] = useState("60");
  const [asked, setAsked] = useState(false);
  const url = `${base}/alarm`;
  const read = useLoad(asked ? url : null, (signal) => call("GET", url, { signal }));
  const alarm = /** @type {AlarmState | null} */ (read.data);
  const change = useAction(async (/** @type {"PUT" | "DELETE"} */ method) => {
    await call(method, url, method === "PUT" ? { body: { delaySeconds: Number(seconds) } } : {});
    setAsked(true);
    read.reload();
  });
  const submit = () => {
    void change.run("PUT");
  };
  const words = alarm?.scheduledAt ? `Rings ${until(alarm.scheduledAt, now)} (${moment(alarm.scheduledAt)})` : "None is set.";
  return html`<${Card} title="Alarm">
    ${asked ? alarm && html`<p>${words}${alarm.lastError ? html`<br /><span class="muted">Attempt ${alarm.retryCount + 1}: ${alarm.lastError}</span>` : ""}</p>` : html`<div><${Button} onClick=${() => setAsked(true)}>Read it</${Button}></div>`}
    <${ProblemNote} problem=${read.problem ?? change.problem} />
    ${
      mayWrite() &&
      html`<${Form} row=${true} onSubmit=${submit}>
        <div class="grow">
          <${Field} label="Ring in, seconds" type="number" min=${0} value=${seconds} onInput=${setSeconds} required=${true} />
        </div>
        <${Button} type="submit" busy=${change.busy}>Set</${Button}>
        <${Button} kind="danger" icon="trash" busy=${change.busy} onClick=${() => void change.run("DELETE")}>Delete</${Button}>
      </${Form}>`
    }
  </${Card}>`;
}
