import { statSync } from "node:fs";
import type { Command } from "commander";
import type { Answer } from "../api.ts";
import { action, printJson, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { CommandFailure } from "../failure.ts";
import { table } from "../terminal/table.ts";

/** One thing looked at: what was found and, where it is not well, what to do. */
interface Finding {
  check: string;
  state: "ok" | "warning" | "failed";
  found: string;
  remedy: string | null;
}

/** How long one probe may take: a doctor who waits half a minute for each dead part is no help. */
const PROBE_TIMEOUT_MS = 5_000;

export function register(command: Command): void {
  command.action(
    action(async (context) => {
      const findings = await examine(context);
      if (context.json) printJson(context, { findings });
      else for (const line of findingLines(findings, context)) context.out.line(line);
      return exitCodeOf(findings);
    }),
  );
}

async function examine(context: Context): Promise<Finding[]> {
  const findings = [credentials(context)];
  const health = await probe(context, "/health");
  if (health instanceof CommandFailure) {
    return [...findings, { check: "api", state: "failed", found: health.message, remedy: health.remedy ?? "Start it with `npm start`." }];
  }
  findings.push({ check: "api", state: "ok", found: `answers at ${context.api.connection.url}`, remedy: null });
  const ready = await probe(context, "/ready");
  findings.push(...(ready instanceof CommandFailure ? [failed("ready", ready)] : readiness(ready)));
  const usage = await probe(context, "/v1/usage");
  findings.push(usage instanceof CommandFailure ? failed("key", usage) : key(usage));
  return findings;
}

async function probe(context: Context, path: string): Promise<Answer | CommandFailure> {
  try {
    return await context.api.exchange("GET", path, { timeoutMs: PROBE_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof CommandFailure) return error;
    throw error;
  }
}

const failed = (check: string, failure: CommandFailure): Finding => ({
  check,
  state: "failed",
  found: failure.message,
  remedy: failure.remedy,
});

function credentials(context: Context): Finding {
  const { credentialsFile, key, keyWithheldFor } = context.api.connection;
  const check = "credentials";
  if (keyWithheldFor) {
    const found = `the key in ${credentialsFile} is for ${keyWithheldFor}, not for ${context.api.connection.url}`;
    return { check, state: "failed", found, remedy: "Pass --key <key> or set WEIR_KEY." };
  }
  if (!key) return { check, state: "failed", found: "no key", remedy: "Run `npm start`, pass --key <key> or set WEIR_KEY." };
  const mode = statSync(credentialsFile, { throwIfNoEntry: false })?.mode;
  if (mode !== undefined && (mode & 0o077) !== 0) {
    return { check, state: "warning", found: `others may read ${credentialsFile}`, remedy: `chmod 600 ${credentialsFile}` };
  }
  return { check, state: "ok", found: "a key is known", remedy: null };
}

/** `/ready` as findings: the whole, and one for each part it names. */
function readiness(answer: Answer): Finding[] {
  const ok = answer.status === 200;
  const remedy = ok ? null : "A store it needs does not answer: read the server's log.";
  const whole: Finding = { check: "ready", state: ok ? "ok" : "failed", found: ok ? "takes requests" : `status ${answer.status}`, remedy };
  const body = typeof answer.body === "object" && answer.body !== null ? answer.body : {};
  const parts = Object.entries(body).filter((entry): entry is [string, Record<string, unknown>] => typeof entry[1] === "object");
  return [whole, ...parts.filter(([, value]) => value !== null).map(([name, value]) => part(name, value))];
}

/** `ok: false` has failed; a note on a part that works is a warning; what else it says is shown as it is. */
function part(check: string, value: Record<string, unknown>): Finding {
  const note = typeof value["note"] === "string" ? value["note"] : null;
  const figures = Object.entries(value).filter(([member]) => member !== "ok" && member !== "note");
  const found = [note ?? "", ...figures.map(([member, v]) => `${member}: ${JSON.stringify(v)}`)].filter((s) => s !== "").join("; ");
  const bad = value["ok"] === false;
  return {
    check,
    state: bad ? "failed" : note === null ? "ok" : "warning",
    found: found || (bad ? "does not answer" : "answers"),
    remedy: null,
  };
}

function key(answer: Answer): Finding {
  const body = typeof answer.body === "object" && answer.body !== null ? answer.body : {};
  if (answer.status === 200)
    return { check: "key", state: "ok", found: `good for ${"account" in body ? String(body.account) : "this account"}`, remedy: null };
  const message = "message" in body ? String(body.message) : `status ${answer.status}`;
  const remedies: Record<number, string> = {
    400: "Name an account with --account or WEIR_ACCOUNT.",
    401: "Pass a valid --key, or start again with `npm start`, which writes one.",
    404: "Name an account that exists: `weir accounts list`.",
  };
  return { check: "key", state: "failed", found: message, remedy: remedies[answer.status] ?? null };
}

function findingLines(findings: readonly Finding[], context: Context): string[] {
  const { style } = context.out;
  const paint = { ok: style.good, warning: style.warning, failed: style.bad };
  const rows = findings.map((f) => [f.check, { text: f.state, paint: paint[f.state] }, f.found]);
  const remedies = findings.flatMap((f) => (f.remedy === null ? [] : [`→ ${f.check}: ${f.remedy}`]));
  return [
    ...table([{ title: "CHECK" }, { title: "STATE" }, { title: "FOUND" }], rows, style),
    ...(remedies.length > 0 ? ["", ...remedies] : []),
  ];
}

const exitCodeOf = (findings: readonly Finding[]): ExitCode => (findings.some((f) => f.state === "failed") ? EXIT.failed : EXIT.ok);
