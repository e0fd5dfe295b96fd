import { html, useEffect, useId, useRef } from "../lib.js";
import { Button } from "./button.js";

/** Asks before what cannot be undone. The browser's own dialog: it holds the focus and closes on Escape.
 * @param {{ title: string, action: string, busy?: boolean, onConfirm: () => void, onClose: () => void, children?: unknown }} props */
export function Confirm({ title, action, busy, onConfirm, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return html`<dialog ref=${dialog} aria-labelledby=${id} onClose=${onClose}>
    <h2 id=${id}>${title}</h2>
    <div class="dialog-body">${children}</div>
    <div class="dialog-actions">
      <${Button} onClick=${() => dialog.current?.close()}>Keep</${Button}>
      <${Button} kind="danger" busy=${busy} onClick=${onConfirm}>${action}</${Button}>
    </div>
  </dialog>`;
}
