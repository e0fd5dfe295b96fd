import { statSync } from "node:fs";
import type { Command } from "commander";
import { asProblem, path, type Answer } from "../api.ts";
import { action, printJson, show, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { CommandFailure } from "../failure.ts";
import { count } from "../terminal/figures.ts";
import { isInTheClear } from "../transport.ts";
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
/** The invariants of a large ledger take their time: 12 checks of at most 10 s. */
const EXAMINATION_TIMEOUT_MS = 120_000;

interface DoctorOptions {
  reclaim?: string;
}

export function register(command: Command): void {
  command.option("--reclaim <account>", "free its stranded budget: you vouch that the Redis it was lent to is gone for good").action(
    action<DoctorOptions>(async (context, _args, options) => {
      if (options.reclaim !== undefined) return reclaim(context, options.reclaim);
      const findings = await examine(context);
      if (context.json) printJson(context, { findings });
      else for (const line of findingLines(findings, context)) context.out.line(line);
      return exitCodeOf(findings);
    }),
  );
}

interface Reclaimed {
  reclaimed: { meter: string; period: string; windowStart: string; quantity: number }[];
}

async function reclaim(context: Context, account: string): Promise<ExitCode> {
  const body = await context.api.call<Reclaimed>("POST", path`/v1/accounts/${account}/reclaim`, { withoutAccount: true });
  show(context, body, ({ reclaimed }) => {
    if (reclaimed.length === 0) return [`${account}: nothing is stranded.`];
    const rows = reclaimed.map((r) => [r.meter, r.period, r.windowStart, count(r.quantity)]);
    const columns = [{ title: "METER" }, { title: "PERIOD" }, { title: "SINCE" }, { title: "FREED", align: "right" as const }];
    return table(columns, rows, context.out.style);
  });
  return EXIT.ok;
}

async function examine(context: Context): Promise<Finding[]> {
  const findings = [credentials(context), ...transport(context)];
  const health = await probe(context, "/health");
  if (health instanceof CommandFailure) {
    return [...findings, { check: "api", state: "failed", found: health.message, remedy: health.remedy ?? "Start it with `npm start`." }];
  }
  if (!isWeir(health)) return [...findings, notWeir(context)];
  findings.push({ check: "api", state: "ok", found: `answers at ${context.api.connection.url}`, remedy: null });
  const ready = await probe(context, "/ready");
  const outside = ready instanceof CommandFailure ? [failed("ready", ready)] : readiness(ready);
  // What the server looks at itself it says more of than `/ready` tells everybody.
  const seen = await inside(context);
  findings.push(...outside.filter(({ check }) => !seen.some((finding) => finding.check === check)), ...seen);
  const usage = await probe(context, "/v1/usage");
  findings.push(usage instanceof CommandFailure ? failed("key", usage) : key(usage));
  return findings;
}

const isWeir = ({ status, body }: Answer): boolean =>
  status === 200 && typeof body === "object" && body !== null && "ok" in body && body.ok === true;

const notWeir = ({ api }: Context): Finding => ({
  check: "api",
  state: "failed",
  found: `something answers at ${api.connection.url} that is not Weir`,
  remedy: "Pass --url <address>, or set WEIR_URL: `npm start` says where it serves.",
});

/** Nothing to say where nobody else can listen. */
function transport({ api }: Context): Finding[] {
  const { url } = api.connection;
  if (!isInTheClear(url)) return [];
  const found = `keys and values go to ${url} unencrypted: whoever is on the way reads them`;
  const remedy = `Let a proxy with TLS stand before Weir, then --url ${url.replace("http:", "https:")}; a key that was sent so is known: weir keys rotate <id>.`;
  return [{ check: "transport", state: "warning", found, remedy }];
}

/** What the server finds when it examines itself. Only the operator may ask. */
async function inside(context: Context): Promise<Finding[]> {
  context.progress.say("examining the stores and every invariant of the ledger");
  const answer = await probe(context, "/v1/doctor", EXAMINATION_TIMEOUT_MS);
  if (answer instanceof CommandFailure) return [failed("examination", answer)];
  if (answer.status === 401 || answer.status === 403) {
    return [{ check: "examination", state: "ok", found: "stores and ledger are shown to the operator's key only", remedy: null }];
  }
  const body = typeof answer.body === "object" && answer.body !== null ? answer.body : {};
  if (answer.status === 200 && "findings" in body) return body.findings as Finding[];
  return [{ check: "examination", state: "failed", found: asProblem(answer).message, remedy: "Read the server's log." }];
}

async function probe(context: Context, url: string, timeoutMs = PROBE_TIMEOUT_MS): Promise<Answer | CommandFailure> {
  try {
    return await context.api.exchange("GET", url, { timeoutMs });
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

const AWAY = "Start it, and see DATABASE_URL and REDIS_URL; the server's log says more.";
const NOT_RUN = "weir migrate, or start a Weir of this version, which does so.";
/** What `/ready` notes of a part that works: that it is the Redis Weir brings for a first look. */
const NOT_KEPT = "apt-get install redis-server (or brew install redis), or set REDIS_URL; then start Weir again.";

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
    remedy: bad ? (check === "migrations" ? NOT_RUN : AWAY) : note === null ? null : NOT_KEPT,
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
