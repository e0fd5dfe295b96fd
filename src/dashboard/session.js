/** Signing in and out, and which account is shown. The key itself is in a cookie that this code cannot read. */
import { aboutAccount, call, problemOf, whenSignedOut } from "./api.js";
import { follow, unfollow } from "./live.js";
import { change, state } from "./store.js";

/** @import { AccountEntry, Pricing, Session, Usage } from "./types.ts" */

const ACCOUNT_KEY = "weir.account";

/** Takes up the session that the browser has, if it has one. */
export async function begin() {
  whenSignedOut(() => leave());
  try {
    await enter(await call("GET", "/v1/session"));
  } catch (error) {
    const { status, message } = problemOf(error);
    change({ phase: "signed-out", trouble: status === 401 ? null : message });
  }
}

/** @param {string} key */
export async function signIn(key) {
  await enter(await call("POST", "/v1/session", { body: { key: key.trim() } }));
}

export async function signOut() {
  await call("DELETE", "/v1/session");
  leave();
}

function leave() {
  unfollow();
  aboutAccount(null);
  change({ phase: "signed-out", session: null, account: null, usage: null, denials: [], line: "connecting", trouble: null });
}

/** @param {Session} session */
async function enter(session) {
  change({ session, phase: "signed-in", trouble: null });
  const remembered = session.account ?? localStorage.getItem(ACCOUNT_KEY) ?? (await firstAccount());
  showAccount(remembered);
  change({ pricing: /** @type {Pricing} */ (await call("GET", "/v1/pricing", { withoutAccount: true })) });
}

async function firstAccount() {
  const { accounts } = /** @type {{ accounts: AccountEntry[] }} */ (
    await call("GET", "/v1/accounts", { query: { limit: 1 }, withoutAccount: true })
  );
  return accounts[0]?.account ?? null;
}

/** @param {string | null} account */
export function showAccount(account) {
  const { session } = state();
  if (session?.account === null && account !== null) localStorage.setItem(ACCOUNT_KEY, account);
  aboutAccount(session?.account === null ? account : null);
  change({ account, usage: null, denials: [], line: "connecting", trouble: null });
  if (account === null) return unfollow();
  follow();
}

/** Reads the figures now: after this page changed something, the next look of the live line may be half a second away. */
export async function refresh() {
  change({ usage: /** @type {Usage} */ (await call("GET", "/v1/usage")) });
}
