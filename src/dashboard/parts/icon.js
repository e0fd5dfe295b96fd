/** Small drawings beside words; never instead of them. */
import { html } from "../lib.js";

/** @type {Record<string, string>} */
const PATHS = {
  usage: "M4 19V10M10 19V5M16 19v-7M21 19H3",
  state: "M12 3 4 7l8 4 8-4-8-4ZM4 12l8 4 8-4M4 17l8 4 8-4",
  bill: "M6 3h12v18l-3-2-3 2-3-2-3 2V3ZM9 8h6M9 12h6",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4l2-2ZM10 21h4",
  operator:
    "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M5.6 18.4l2.2-2.2M16.2 7.8l2.2-2.2",
  ok: "M5 12.5 10 17.5 19 7.5",
  warning: "M12 4 2.5 20h19L12 4ZM12 10v4.5M12 17.5v.01",
  exceeded: "M7.5 3h9L21 7.5v9L16.5 21h-9L3 16.5v-9L7.5 3ZM8 12h8",
  copy: "M9 9h11v11H9V9ZM5 15H4V4h11v1",
  close: "M6 6l12 12M18 6 6 18",
  chevron: "M9 6l6 6-6 6",
  plus: "M12 5v14M5 12h14",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM12 8v4.5l3 2",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  theme: "M12 4a8 8 0 1 0 8 8 6.5 6.5 0 0 1-8-8Z",
  down: "M12 4v11M7 11l5 5 5-5M4 20h16",
  again: "M19 7v5h-5M5 17v-5h5M18 12a6.5 6.5 0 0 0-12-2.5M6 12a6.5 6.5 0 0 0 12 2.5",
};

/** @param {{ name: string }} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? ""} /></svg>`;
}
