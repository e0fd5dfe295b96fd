import { call } from "./api.js";
import { html, useState } from "./lib.js";
import { useLoad } from "./load.js";
import { Tag } from "./parts/pill.js";
import { showAccount } from "./session.js";
import { isOperator, state, useShared } from "./store.js";

/** @import { AccountEntry } from "./types.ts" */

/** Suggested at most; any other is typed by its id. */
const SUGGESTED_MAX = 1_000;

/** Whose figures these are; with an operator's key any account can be named. */
export function AccountPicker() {
  const account = useShared("account");
  const usage = useShared("usage");
  const fixed = state().session?.account !== null;
  return html`<div class="account">
    ${fixed ? html`<strong>${account}</strong>` : html`<${Picker} account=${account} />`} ${usage && html`<${Tag}>${usage.plan}</${Tag}>`}
  </div>`;
}

/** @param {{ account: string | null }} props */
function Picker({ account }) {
  const [text, setText] = useState(account ?? "");
  const [shown, setShown] = useState(account);
  const known = useLoad(isOperator() ? "accounts" : null, (signal) =>
    call("GET", "/v1/accounts", { query: { limit: SUGGESTED_MAX }, withoutAccount: true, signal }),
  );
  if (account !== shown) {
    setShown(account);
    setText(account ?? "");
  }
  const take = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (text !== "" && text !== account) showAccount(text);
  };
  const accounts = /** @type {{ accounts: AccountEntry[] } | null} */ (known.data)?.accounts ?? [];
  return html`<form class="picker" onSubmit=${take}>
    <label class="sr" for="account">Account</label>
    <input
      id="account"
      list="accounts"
      value=${text}
      autocomplete="off"
      spellcheck=${false}
      onInput=${(/** @type {{ currentTarget: HTMLInputElement }} */ e) => setText(e.currentTarget.value)}
      onChange=${take}
    />
    <datalist id="accounts">
      ${accounts.map(({ account: id, name, plan }) => html`<option key=${id} value=${id}>${name ?? ""} ${plan}</option>`)}
    </datalist>
  </form>`;
}
