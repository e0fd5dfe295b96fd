import { html } from "../lib.js";
import { Head } from "../parts/layout.js";

export function Operator() {
  return html`<${Head} title="Operator" />`;
}
