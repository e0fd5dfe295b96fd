/** The dashboard's entry: finds out who is signed in, then shows a view. */
import { html, render } from "./lib.js";
import { begin } from "./session.js";
import { Shell } from "./shell.js";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(html`<${Shell} />`, root);
  void begin();
}
