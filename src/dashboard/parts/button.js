import { classes, html } from "../lib.js";
import { Icon } from "./icon.js";

/** @param {{ children?: unknown, kind?: "primary" | "plain" | "danger" | "quiet", icon?: string, busy?: boolean, disabled?: boolean,
 *   type?: "button" | "submit", label?: string, onClick?: (event: Event) => void, expanded?: boolean, controls?: string, pressed?: boolean }} props */
export function Button({ children, kind = "plain", icon, busy, disabled, type = "button", label, onClick, expanded, controls, pressed }) {
  return html`<button
    type=${type}
    class=${classes("button", `button-${kind}`, !children && "button-icon")}
    disabled=${disabled || busy}
    aria-busy=${busy ? "true" : undefined}
    aria-label=${label}
    title=${children ? undefined : label}
    aria-expanded=${expanded === undefined ? undefined : String(expanded)}
    aria-controls=${controls}
    aria-pressed=${pressed === undefined ? undefined : String(pressed)}
    onClick=${onClick}
  >
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>`;
}

/** One of a few: buttons in a row, one pressed.
 * @param {{ label: string, value: string, options: readonly (readonly [value: string, text: string])[], onChange: (value: string) => void }} props */
export function Choice({ label, value, options, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(
      ([option, text]) =>
        html`<button type="button" key=${option} aria-pressed=${String(option === value)} onClick=${() => onChange(option)}>
          ${text}
        </button>`,
    )}
  </div>`;
}
