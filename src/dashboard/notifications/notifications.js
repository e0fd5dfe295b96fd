import { html } from "../lib.js";
import { Head } from "../parts/layout.js";

export function Notifications() {
  return html`<${Head} title="Notifications" />`;
}
