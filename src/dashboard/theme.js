import { html, useState } from "./lib.js";
import { Button } from "./parts/button.js";

const KEY = "weir.theme";
const NEXT = /** @type {Record<string, string>} */ ({ auto: "light", light: "dark", dark: "auto" });

/** @param {string} theme */
function apply(theme) {
  document.documentElement.dataset.theme = theme;
}

apply(localStorage.getItem(KEY) ?? "auto");

/** Light, dark, or as the system has it. */
export function ThemeButton() {
  const [theme, setTheme] = useState(localStorage.getItem(KEY) ?? "auto");
  const next = () => {
    const chosen = NEXT[theme] ?? "auto";
    localStorage.setItem(KEY, chosen);
    apply(chosen);
    setTheme(chosen);
  };
  return html`<${Button} kind="quiet" icon="theme" label=${`Theme: ${theme}. Change it`} onClick=${next} />`;
}
