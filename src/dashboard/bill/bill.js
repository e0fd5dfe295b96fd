import { html } from "../lib.js";
import { Head } from "../parts/layout.js";

export function Bill() {
  return html`<${Head} title="Bill" />`;
}
