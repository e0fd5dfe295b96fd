import { signIn } from "./session.js";
import { html, useState } from "./lib.js";
import { useAction } from "./load.js";
import { Button } from "./parts/button.js";
import { Field } from "./parts/field.js";
import { ProblemNote } from "./parts/problem.js";

/** @param {{ trouble: string | null }} props */
export function SignIn({ trouble }) {
  const [key, setKey] = useState("");
  const { run, busy, problem } = useAction(signIn);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void run(key);
  };
  const shown = problem?.status === 401 ? { ...problem, message: "This key is unknown, expired or revoked." } : problem;
  return html`<main class="sign-in" id="main">
    <form class="card" onSubmit=${submit}>
      <span class="brand-mark" aria-hidden="true"></span>
      <h1>Sign in to Weir</h1>
      <p class="muted">
        With an API key: an account's own, or the operator's. It is kept in a cookie that no script can read, for 12 hours.
      </p>
      <${Field}
        label="API key"
        type="password"
        value=${key}
        onInput=${setKey}
        required=${true}
        spellcheck=${false}
        hint=${html`On the machine that runs Weir, <code>npm start</code> keeps the operator's key in <code>.weir/credentials.json</code>.`}
      />
      <${ProblemNote} problem=${shown} />
      ${trouble && !problem && html`<p class="hint">${trouble}</p>`}
      <${Button} kind="primary" type="submit" busy=${busy} disabled=${key.trim() === ""}>Sign in</${Button}>
    </form>
  </main>`;
}
