import { html, useId } from "../lib.js";

/** A form that this page answers itself.
 * @param {{ onSubmit: () => void, row?: boolean, children?: unknown }} props */
export const Form = ({ onSubmit, row, children }) =>
  html`<form
    class=${row ? "row end" : "stack"}
    onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      onSubmit();
    }}
  >
    ${children}
  </form>`;

/** A labelled input. `hint` is read with it.
 * @param {{ label: string, value: string | number, onInput: (value: string) => void, hint?: unknown, type?: string, placeholder?: string, min?: number,
 *   max?: number, step?: number, required?: boolean, list?: readonly string[], suffix?: unknown, autocomplete?: string, spellcheck?: boolean }} props */
export function Field({ label, value, onInput, hint, type = "text", list, suffix, ...rest }) {
  const id = useId();
  const input = html`<input
    id=${id}
    type=${type}
    value=${value}
    onInput=${(/** @type {{ currentTarget: HTMLInputElement }} */ e) => onInput(e.currentTarget.value)}
    aria-describedby=${hint ? `${id}-hint` : undefined}
    list=${list ? `${id}-list` : undefined}
    autocomplete="off"
    ...${rest}
  />`;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${suffix ? html`<div class="suffixed">${input}<span>${suffix}</span></div>` : input}
    ${list && html`<datalist id=${`${id}-list`}>${list.map((option) => html`<option key=${option} value=${option}></option>`)}</datalist>`}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/** @param {{ label: string, value: string, onInput: (value: string) => void, rows?: number, hint?: unknown }} props */
export function TextArea({ label, value, onInput, rows = 6, hint }) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <textarea
      id=${id}
      rows=${rows}
      spellcheck=${false}
      value=${value}
      aria-describedby=${hint ? `${id}-hint` : undefined}
      onInput=${(/** @type {{ currentTarget: HTMLTextAreaElement }} */ e) => onInput(e.currentTarget.value)}
    ></textarea>
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/** @param {{ label: string, value: string, options: readonly (readonly [value: string, text: string])[], onChange: (value: string) => void }} props */
export function Select({ label, value, options, onChange }) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(/** @type {{ currentTarget: HTMLSelectElement }} */ e) => onChange(e.currentTarget.value)}>
      ${options.map(([option, text]) => html`<option key=${option} value=${option} selected=${option === value}>${text}</option>`)}
    </select>
  </div>`;
}

/** @param {{ label: string, value: number, min: number, max: number, step: number, text: string, onInput: (value: number) => void }} props */
export function Slider({ label, value, min, max, step, text, onInput }) {
  const id = useId();
  return html`<div class="field slider">
    <label for=${id}>${label}<output>${text}</output></label>
    <input
      id=${id}
      type="range"
      min=${min}
      max=${max}
      step=${step}
      value=${value}
      aria-valuetext=${text}
      onInput=${(/** @type {{ currentTarget: HTMLInputElement }} */ e) => onInput(Number(e.currentTarget.value))}
    />
  </div>`;
}
