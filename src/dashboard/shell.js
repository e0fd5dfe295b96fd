/** The frame around every view: where one is, whose account it is, whether figures move. */
import { classes, html, useEffect, useState } from "./lib.js";
import { AccountPicker } from "./account-picker.js";
import { Bill } from "./bill/bill.js";
import { Notifications } from "./notifications/notifications.js";
import { Operator } from "./operator/operator.js";
import { Button } from "./parts/button.js";
import { Icon } from "./parts/icon.js";
import { Empty } from "./parts/layout.js";
import { placeOf, usePlace } from "./route.js";
import { signOut } from "./session.js";
import { SignIn } from "./sign-in.js";
import { StateView } from "./state/state.js";
import { isOperator, useShared } from "./store.js";
import { ThemeButton } from "./theme.js";
import { UsageView } from "./usage/usage.js";

const VIEWS = /** @type {const} */ ([
  { view: "usage", title: "Usage", icon: "usage", component: UsageView },
  { view: "state", title: "State", icon: "state", component: StateView },
  { view: "bill", title: "Bill", icon: "bill", component: Bill },
  { view: "notifications", title: "Notifications", icon: "bell", component: Notifications },
  { view: "operator", title: "Operator", icon: "operator", component: Operator },
]);

export function Shell() {
  const phase = useShared("phase");
  const trouble = useShared("trouble");
  if (phase === "starting")
    return html`<div class="starting" role="status">
      <span class="brand-mark" aria-hidden="true"></span>
      <p>Weir</p>
    </div>`;
  if (phase === "signed-out") return html`<${SignIn} trouble=${trouble} />`;
  return html`<${Frame} />`;
}

function Frame() {
  const place = usePlace();
  const account = useShared("account");
  useShared("session");
  const views = VIEWS.filter(({ view }) => view !== "operator" || isOperator());
  const current = views.find(({ view }) => view === place.view) ?? VIEWS[0];
  useTitle(current.title, place.view);
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#/usage"><span class="brand-mark" aria-hidden="true"></span>Weir</a>
      <${AccountPicker} />
      <${LiveLine} />
      <${ThemeButton} />
      <${Button} kind="quiet" icon="out" label="Sign out" onClick=${() => void signOut()} />
    </header>
    <nav class="nav" aria-label="Views">
      ${views.map(
        ({ view, title, icon }) =>
          html`<a key=${view} href=${placeOf(view)} aria-current=${view === current.view ? "page" : undefined}
            ><${Icon} name=${icon} /><span>${title}</span></a
          >`,
      )}
    </nav>
    <main class="main" id="main" tabindex="-1">
      ${
        account === null && current.view !== "operator"
          ? html`<${Empty} title="No account yet"
              ><p>Make one: <code>weir accounts put acct_1 --plan free</code></p></${Empty}
            >`
          : html`<${current.component} key=${`${current.view} ${account}`} parts=${place.parts} />`
      }
    </main>
  </div>`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** Names the page, and after a change of view moves the focus to its heading: a screen reader then reads on from there.
 * @param {string} title
 * @param {string} view */
function useTitle(title, view) {
  const [first, setFirst] = useState(true);
  useEffect(() => {
    document.title = `${title} · Weir`;
    if (first) setFirst(false);
    else document.getElementById("title")?.focus();
  }, [view]);
}

const LINES = { connecting: "Connecting", live: "Live", trouble: "Not live" };

function LiveLine() {
  const line = useShared("line");
  const trouble = useShared("trouble");
  return html`<span class=${classes("live", `live-${line}`)} role="status" title=${trouble ?? "Figures move as traffic flows."}>
    <span class="live-dot" aria-hidden="true"></span>${LINES[line]}
  </span>`;
}
