import { Command, CommanderError } from "commander";
import { commandWord, optionsLast, unknownFlagsFirst } from "./argv.ts";
import { report } from "./context.ts";
import { addExamples } from "./examples.ts";
import { EXIT } from "./exit.ts";
import { usageError } from "./failure.ts";
import { inOurWords } from "./former-words.ts";

/** Adds a command's subcommands, arguments, options and action to the (already named) command. */
export type Register = (command: Command) => void;

interface Entry {
  group: string;
  summary: string;
  /** Loaded only when this command is meant: start-up stays fast however many commands there are. */
  load: () => Promise<{ register: Register }>;
}

const LOOK = "Look:";
const STATE = "State and traffic:";
const OPERATE = "Operate:";

const COMMANDS: Readonly<Record<string, Entry>> = {
  usage: { group: LOOK, summary: "what the account has used, against its limits", load: () => import("./commands/usage.ts") },
  limits: { group: LOOK, summary: "caps that the account sets itself", load: () => import("./commands/limits.ts") },
  notifications: { group: LOOK, summary: "what the account was told", load: () => import("./commands/notifications.ts") },
  invoices: { group: LOOK, summary: "what the account is billed, line by line", load: () => import("./commands/invoices.ts") },
  credits: { group: LOOK, summary: "prepaid credits, and what burned them", load: () => import("./commands/credits.ts") },
  pricing: { group: LOOK, summary: "plans, meters and prices", load: () => import("./commands/pricing.ts") },
  simulate: { group: LOOK, summary: "recorded usage priced under another plan", load: () => import("./commands/simulate.ts") },
  state: { group: STATE, summary: "namespaces, objects, keys, values and alarms", load: () => import("./commands/state.ts") },
  check: { group: STATE, summary: "ask whether an operation is allowed, and count it", load: () => import("./commands/check.ts") },
  replay: { group: STATE, summary: "send a recorded trace through Weir", load: () => import("./commands/replay.ts") },
  demo: { group: STATE, summary: "a minute of traffic, until the Free day's limit", load: () => import("./commands/demo.ts") },
  start: { group: OPERATE, summary: "run Weir (as `npm start` does)", load: () => import("./commands/start.ts") },
  serve: {
    group: OPERATE,
    summary: "the same, by the name deployments use: `serve --workers 4`",
    load: () => import("./commands/start.ts"),
  },
  worker: { group: OPERATE, summary: "run jobs for a Weir that runs elsewhere", load: () => import("./commands/worker.ts") },
  accounts: { group: OPERATE, summary: "create, change and show accounts", load: () => import("./commands/accounts.ts") },
  keys: { group: OPERATE, summary: "API keys", load: () => import("./commands/keys.ts") },
  webhooks: { group: OPERATE, summary: "endpoints that are told, and their deliveries", load: () => import("./commands/webhooks.ts") },
  catalog: { group: OPERATE, summary: "meters, plans and prices as a file", load: () => import("./commands/catalog.ts") },
  recount: {
    group: OPERATE,
    summary: "measure State's objects and reconcile their stored bytes",
    load: () => import("./commands/recount.ts"),
  },
  migrate: { group: OPERATE, summary: "bring the database to this schema", load: () => import("./commands/migrate.ts") },
  roles: { group: OPERATE, summary: "users of the database, each with what it needs", load: () => import("./commands/roles.ts") },
  audit: {
    group: OPERATE,
    summary: "who did what to which account, and whether that log is sound",
    load: () => import("./commands/audit.ts"),
  },
  completion: { group: OPERATE, summary: "completion for bash, zsh or fish", load: () => import("./commands/completion.ts") },
  doctor: { group: OPERATE, summary: "what is wrong, and what to do", load: () => import("./commands/doctor.ts") },
};

/** Options with a value that may stand before the command's name. */
const EARLY_VALUE_FLAGS = new Set(["--url", "--key", "--account", "--service"]);

/** Runs one command line; the exit code is left in `process.exitCode`. */
export async function run(typed: readonly string[], version: string): Promise<void> {
  const given = inOurWords(typed);
  // `weir help state put` is `weir state put --help`: one way to ask, so that only one command has to be loaded.
  const argv = given[0] === "help" ? [...given.slice(1), "--help"] : given;
  const json = argv.includes("--json");
  try {
    const meant = commandWord(argv, new Set(Object.keys(COMMANDS)), EARLY_VALUE_FLAGS);
    const program = await buildProgram(meant, version, json);
    if (argv.length === 0) return program.outputHelp();
    const ordered = optionsLast(program, argv);
    unknownFlagsFirst(program, ordered);
    await program.parseAsync(ordered, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) process.exitCode = report(error, json);
    else if (error.exitCode === 0) process.exitCode = EXIT.ok;
    else if (json && error.code !== "commander.help") process.exitCode = report(usageError(plain(error.message)), json);
    else process.exitCode = EXIT.usage;
  }
}

/** The whole tree of names, with one command (`meant`) loaded in full; `"all"` loads every one. */
export async function buildProgram(meant: string | null, version: string, json = false): Promise<Command> {
  const program = new Command("weir")
    .description("Metering, quotas and billing for stateful objects: exact limits, checked before the write.")
    .version(version)
    .option("--json", "print the API's JSON, and nothing else, on stdout")
    .option("--url <url>", "the API's address (WEIR_URL; default http://127.0.0.1:8787)")
    .option("--key <key>", "the API key (WEIR_KEY)")
    .option("--account <account>", "the account to act for (WEIR_ACCOUNT)")
    .addHelpText(
      "after",
      "\nExit codes: 0 ok, 1 failed, 2 usage, 3 denied by a limit.\nStart here: npm start, then `weir demo` in another terminal.",
    );
  // Set first: subcommands copy these settings when they are made. With --json the error is printed once, by `report`.
  program.exitOverride().helpCommand(false).configureHelp({ showGlobalOptions: true });
  program.showSuggestionAfterError(true).showHelpAfterError("(run with --help to see what is possible)");
  if (json) program.showHelpAfterError(false).configureOutput({ outputError: () => undefined });
  for (const [name, entry] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(entry.summary).helpGroup(entry.group).helpCommand(false);
    if (meant !== name && meant !== "all") continue;
    (await entry.load()).register(command);
    addExamples(command);
  }
  return program;
}

const plain = (message: string): string => message.replace(/^error: /, "");
