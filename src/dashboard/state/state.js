import { html } from "../lib.js";
import { Head } from "../parts/layout.js";

export function StateView() {
  return html`<${Head} title="StateView" />`;
}
