import { classes, html } from "../lib.js";
import { Icon } from "./icon.js";

/** @type {Record<string, { tone: string, icon: string }>} */
const LOOKS = {
  ok: { tone: "ok", icon: "ok" },
  warning: { tone: "warning", icon: "warning" },
  exceeded: { tone: "bad", icon: "exceeded" },
  failed: { tone: "bad", icon: "exceeded" },
  delivered: { tone: "ok", icon: "ok" },
  enabled: { tone: "ok", icon: "ok" },
  pending: { tone: "plain", icon: "clock" },
  disabled: { tone: "bad", icon: "close" },
  draft: { tone: "plain", icon: "clock" },
  finalized: { tone: "warning", icon: "bill" },
  paid: { tone: "ok", icon: "ok" },
  void: { tone: "plain", icon: "close" },
};

/** A state in a word, with a colour and a shape that say the same.
 * @param {{ state: string, text?: string }} props */
export function Pill({ state, text }) {
  const { tone, icon } = LOOKS[state] ?? { tone: "plain", icon: "clock" };
  return html`<span class=${classes("pill", `pill-${tone}`)}><${Icon} name=${icon} />${text ?? state}</span>`;
}

/** A word that is no state.
 * @param {{ children?: unknown }} props */
export const Tag = ({ children }) => html`<span class="tag">${children}</span>`;
