import { call, path } from "../api.js";
import { amount } from "../figures.js";
import { html, useState } from "../lib.js";
import { useAction } from "../load.js";
import { Button, Choice } from "../parts/button.js";
import { Command } from "../parts/command.js";
import { Field, Slider } from "../parts/field.js";
import { ProblemNote } from "../parts/problem.js";
import { refresh } from "../session.js";

/** @import { Cap, MeterStanding, Period } from "../types.ts" */

/** @typedef {Pick<Cap, "meter" | "period" | "capValue" | "notifyAtPercent" | "hardStop">} Wanted */

/** The command that does the same in a terminal.
 * @param {Wanted} cap */
export function commandOf({ meter, period, capValue, notifyAtPercent, hardStop }) {
  const notify = notifyAtPercent === 80 ? "" : ` --notify-at-percent ${notifyAtPercent}`;
  return `weir limits set ${meter} --period ${period} --value ${capValue}${notify}${hardStop ? "" : " --soft"}`;
}

const WINDOWS = [
  ["day", "A day"],
  ["month", "A month"],
];
const AT_THE_CAP = [
  ["stop", "Stop there"],
  ["tell", "Only tell me"],
];

/** @param {{ standing: MeterStanding, cap: Cap | null, periods: Period[], onDone: () => void }} props */
export function CapForm({ standing, cap, periods, onDone }) {
  const { meter, unit } = standing;
  const [period, setPeriod] = useState(periods[0] ?? "day");
  const [text, setText] = useState(String(cap?.capValue ?? standing.limit ?? ""));
  const [notifyAtPercent, setNotify] = useState(cap?.notifyAtPercent ?? 80);
  const [hardStop, setHardStop] = useState(cap?.hardStop ?? true);
  const capValue = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  const valid = Number.isSafeInteger(capValue);
  const { run, busy, problem } = useAction(async () => {
    await call("PUT", path`/v1/usage/caps/${meter}`, { body: { period, capValue, hardStop, notifyAtPercent } });
    await refresh();
    onDone();
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (valid) void run();
  };
  return html`<form class="cap cap-form" onSubmit=${submit}>
    ${periods.length > 1 && html`<${Choice} label="Window" value=${period} options=${WINDOWS} onChange=${setPeriod} />`}
    <${Field}
      label=${`Cap${periods.length > 1 ? "" : ` a ${period}`}, in ${unitLabel(unit)}`}
      value=${text}
      onInput=${(/** @type {string} */ value) => setText(value.replace(/[\s,_]/g, ""))}
      required=${true}
      hint=${valid ? `= ${amount(capValue, unit)}` : "A whole number, 0 or more."}
    />
    <${Slider}
      label="Tell me at"
      value=${notifyAtPercent}
      min=${1}
      max=${100}
      step=${1}
      text=${`${notifyAtPercent} %`}
      onInput=${setNotify}
    />
    <${Choice}
      label="What happens there"
      value=${hardStop ? "stop" : "tell"}
      options=${AT_THE_CAP}
      onChange=${(/** @type {string} */ value) => setHardStop(value === "stop")}
    />
    ${valid && html`<${Command} text=${commandOf({ meter, period, capValue, notifyAtPercent, hardStop })} />`}
    <${ProblemNote} problem=${problem} />
    <div class="row">
      <${Button} kind="primary" type="submit" busy=${busy} disabled=${!valid}>${cap ? "Save" : "Set cap"}</${Button}>
      <${Button} onClick=${onDone}>Cancel</${Button}>
    </div>
  </form>`;
}

/** @param {string} unit */
const unitLabel = (unit) => (unit === "GB-ms" ? "GB-milliseconds" : unit === "cpu_ms" ? "CPU milliseconds" : `${unit}s`);
