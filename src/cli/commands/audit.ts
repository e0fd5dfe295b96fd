import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Command } from "commander";
import type { AuditEntry, ChainHead } from "../../audit/entry.ts";
import { AuditVerification } from "../../audit/verification.ts";
import { action, show, type Context } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { usageError } from "../failure.ts";
import { moreLines, pageable, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { count } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";

interface ListOptions extends PageOptions {
  of?: string;
  actor?: string;
}

interface VerifyOptions {
  file?: string;
  against?: string;
}

/** Read at once; one page is about half a megabyte. */
const PAGE = 1_000;

export function register(command: Command): void {
  pageable(command.command("list").description("who did what, newest first"))
    .option("--of <account>", "only what was done to this account")
    .option("--actor <key>", "only what this key did (its id)")
    .action(action<ListOptions>(list));
  command
    .command("verify")
    .description("check that no entry was changed, removed or put in between")
    .option("--file <export>", "a log that was exported, instead of the one that Weir has")
    .option("--against <export>", "an earlier export: all that it holds must be there unchanged")
    .action(action<VerifyOptions>(verify));
  command.command("export").description("write the whole log to stdout, one JSON object a line, oldest first").action(action(exportAll));
}

async function list(context: Context, _args: unknown, options: ListOptions): Promise<ExitCode> {
  const query = { ...pageQuery(options), account: options.of, actor: options.actor };
  const body = await context.api.call<{ entries: AuditEntry[] } & Page>("GET", "/v1/audit", { query, withoutAccount: true });
  show(context, body, ({ entries }) => {
    const titles = ["TIME", "ACCOUNT", "WHO", "ASKED FOR", "DONE", "TARGET"].map((title) => ({ title }));
    const rows = entries.map((e) => [e.at, e.account ?? "–", `${e.actor} (${e.scope})`, e.operation, e.action, e.target]);
    return [...table(titles, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}

async function verify(context: Context, _args: unknown, { file, against }: VerifyOptions): Promise<ExitCode> {
  const verification = new AuditVerification();
  if (against !== undefined) for (const head of await headsIn(against)) verification.expect(head);
  // Where the chains stand is asked before they are read: what is appended meanwhile is no fault.
  if (file === undefined) for await (const head of all<ChainHead>(context, "/v1/audit/chains", "chains")) verification.expect(head);
  const log = file === undefined ? all<AuditEntry>(context, "/v1/audit", "entries", { order: "oldest" }) : entriesIn(file);
  for await (const entry of log) {
    verification.add(entry);
    context.progress.say(`${count(verification.entries)} entries verified`);
  }
  verification.end();
  const { entries, chains, faults } = verification;
  const sound = faults.length === 0;
  show(context, { sound, entries, chains, faults }, () => [
    ...faults.map(({ account, number, fault }) => `Entry ${number} of ${account ?? "no account"} ${fault}.`),
    sound ? `Sound: ${entries} entries in ${chains} chains.` : `${faults.length} faults in ${entries} entries.`,
  ]);
  return sound ? EXIT.ok : EXIT.failed;
}

async function exportAll(context: Context): Promise<ExitCode> {
  let written = 0;
  for await (const entry of all<AuditEntry>(context, "/v1/audit", "entries", { order: "oldest" })) {
    context.out.line(JSON.stringify(entry));
    context.progress.say(`${count((written += 1))} entries written`);
  }
  return EXIT.ok;
}

/** Every item of a list, page by page. */
async function* all<T>(context: Context, url: string, noun: string, query: Record<string, string> = {}): AsyncGenerator<T> {
  let cursor: string | null | undefined;
  do {
    const page: Page & Record<string, unknown> = await context.api.call("GET", url, {
      query: { ...query, limit: PAGE, cursor: cursor ?? undefined },
      withoutAccount: true,
    });
    yield* page[noun] as T[];
    cursor = page.nextCursor;
  } while (cursor);
}

async function* entriesIn(file: string): AsyncGenerator<AuditEntry> {
  const stream = createReadStream(file);
  const failed = new Promise<never>((_, reject) =>
    stream.once("error", () => reject(usageError(`${file} cannot be read.`, "Name a file that `weir audit export` wrote."))),
  );
  failed.catch(() => {});
  const lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  for (let number = 1; ; number += 1) {
    const next = await Promise.race([lines.next(), failed]);
    if (next.done) return;
    if (next.value.trim() !== "") yield entryOf(next.value, `${file}, line ${number}`);
  }
}

function entryOf(line: string, where: string): AuditEntry {
  try {
    const entry = JSON.parse(line) as AuditEntry;
    if (typeof entry.number === "number" && typeof entry.hash === "string" && typeof entry.detail === "string") return entry;
  } catch {
    // The same words for both.
  }
  throw usageError(`${where} is no entry of an audit log.`, "Name a file that `weir audit export` wrote.");
}

async function headsIn(file: string): Promise<Iterable<ChainHead>> {
  const heads = new Map<string, ChainHead>();
  for await (const { account, number, hash } of entriesIn(file)) heads.set(account ?? "", { account, number, hash });
  return heads.values();
}
