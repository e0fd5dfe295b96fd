import { ok, warning, type Finding } from "./finding.ts";

/** Characters below which a key can be tried out; one that Weir makes has more than 50. */
const KEY_LENGTH_MIN = 20;
/** Different characters below which a key is a pattern. */
const KEY_VARIETY_MIN = 8;
/** What is in keys that nobody meant to keep. */
const PLACEHOLDER = /change.?me|secret|password|example|default|test.?key|admin.?key|12345/i;

/** Whether the operator's key, which may do everything, can be guessed. */
export function keyFinding(adminKey: string): Finding {
  const check = "operator's key";
  const placeholder = PLACEHOLDER.exec(adminKey)?.[0];
  const weak =
    placeholder !== undefined
      ? `has "${placeholder.toLowerCase()}" in it`
      : adminKey.length < KEY_LENGTH_MIN
        ? `has ${adminKey.length} characters only`
        : new Set(adminKey).size < KEY_VARIETY_MIN
          ? "repeats a few characters"
          : null;
  if (weak === null) return ok(check, "cannot be guessed");
  const remedy = "export WEIR_ADMIN_KEY=$(openssl rand -hex 32), or leave it unset and Weir makes one; then start again.";
  return warning(check, `${weak}: it can be guessed, and may do everything`, remedy);
}
