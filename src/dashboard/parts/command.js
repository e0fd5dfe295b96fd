import { html, useEffect, useState } from "../lib.js";
import { pause } from "../clock.js";
import { Button } from "./button.js";

const SAID_MS = 1_600;

/** A command to copy into a terminal.
 * @param {{ text: string }} props */
export function Command({ text }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const leave = new AbortController();
    void pause(SAID_MS, leave.signal).then(() => setCopied(false));
    return () => leave.abort();
  }, [copied]);
  const copy = () => void navigator.clipboard.writeText(text).then(() => setCopied(true), select);
  return html`<div class="command">
    <code tabindex="0" aria-label="Command">${text}</code>
    <${Button} kind="quiet" icon=${copied ? "ok" : "copy"} onClick=${copy}>${copied ? "Copied" : "Copy"}</${Button}>
    <span class="sr" role="status">${copied ? "Copied" : ""}</span>
  </div>`;
}

/** Where the clipboard is refused, the text is at least selected. */
function select() {
  const code = document.activeElement?.closest(".command")?.querySelector("code");
  if (code) getSelection()?.selectAllChildren(code);
}
