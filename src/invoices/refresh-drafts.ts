import { compose } from "./compose.ts";
import { refreshDraft } from "./draft-store.ts";
import { gather, type BillingStores } from "./gather.ts";
import { draftPeriods, draftsOf, type DraftPeriods } from "./period-store.ts";

/** Drafts of one account that are looked at: a month is a draft for a day, so there are one or two. */
const DRAFTS_MAX = 8;

/** Brings a draft to what it has come to by now. One that is final by now stays as it is; false for one that cannot be composed. */
export async function refreshDraftOf(stores: BillingStores, id: string, now: number): Promise<boolean> {
  const draft = await draftPeriods(stores.db, id);
  return draft === null || refresh(stores, draft, now);
}

/** The same for the drafts of an account, the oldest first: each leaves to the next what credits it does not burn. */
export async function refreshDrafts(stores: BillingStores, account: string, now: number): Promise<void> {
  for (const draft of await draftsOf(stores.db, account, DRAFTS_MAX)) await refresh(stores, draft, now);
}

async function refresh(stores: BillingStores, draft: DraftPeriods, now: number): Promise<boolean> {
  const [input] = await gather(stores, [draft], now);
  const body = input && !(input instanceof Error) ? compose(input) : null;
  if (!body) return false;
  await refreshDraft(stores.db, { account: draft.period.account, end: draft.period.window.end }, body);
  return true;
}
