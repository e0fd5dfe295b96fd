import type { Argument, Command, Option } from "commander";
import { EXIT } from "../../src/cli/exit.ts";
import { buildProgram } from "../../src/cli/program.ts";

/** What stands before the examples in a command's help. */
const EXAMPLE = /^Example:\s*/;
/** Wide enough that help is never folded. */
const COLUMNS = 1_000;

const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "done",
  failed: "not done: the API's answer, or why it could not be asked, is on stderr (with `--json` as a problem document on stdout)",
  usage: "the command line cannot be carried out as it stands",
  denied: "denied by a limit: nothing was written, nothing was counted",
};

/** A command that does something, by the words that name it. */
export interface CommandPage {
  path: string;
  command: Command;
  /** What its help says after the options, line by line. */
  notes: string[];
  examples: string[];
}

/** Every command that has no commands of its own, in the order of the help. */
export function commandPages(program: Command): CommandPage[] {
  const walk = (command: Command, path: string): CommandPage[] =>
    command.commands.length > 0
      ? command.commands.flatMap((sub) => walk(sub, `${path} ${sub.name()}`))
      : [{ path, command, ...helpAfter(command) }];
  return program.commands.flatMap((command) => walk(command, `weir ${command.name()}`));
}

/** docs/cli.md: every command with its arguments, options and examples. */
export async function cliReference(): Promise<string> {
  const program = await buildProgram("all", "");
  const pages = commandPages(program);
  const groups = [...new Set(program.commands.map((command) => command.helpGroup()))];
  const contents = groups.flatMap((group) => [
    `**${group.replace(/:$/, "")}**`,
    "",
    ...program.commands
      .filter((command) => command.helpGroup() === group)
      .map((command) => `- [\`weir ${command.name()}\`](#weir-${command.name()}): ${command.description()}`),
    "",
  ]);
  const exits = Object.entries(EXIT).map(([name, code]) => `| ${code} | ${EXIT_MEANINGS[name as keyof typeof EXIT]} |`);
  return [
    "# The command line",
    "",
    "Written by `npm run generate` from the program itself. In a checkout, `npx weir …`; `weir <command> --help` says the same.",
    "",
    ...contents,
    "## Every command takes",
    "",
    ...table(["option", "what it does"], program.options.map(optionRow)),
    "",
    "Without them, `.weir/credentials.json` says where and with which key; `npm start` writes it. Options may stand anywhere.",
    "On a terminal there are tables, bars and colour; a pipe gets plain text, and `NO_COLOR=1` turns colour off.",
    "",
    "## Exit codes",
    "",
    "| code | what it says |",
    "|---|---|",
    ...exits,
    "",
    ...program.commands.flatMap((command) => [
      `## weir ${command.name()}`,
      "",
      `${sentence(command.description())}`,
      "",
      ...pages
        .filter(({ path }) => path === `weir ${command.name()}` || path.startsWith(`weir ${command.name()} `))
        .flatMap((page) => lines(page)),
    ]),
  ].join("\n");
}

function lines({ path, command, notes, examples }: CommandPage): string[] {
  const top = path.split(" ").length === 2;
  const aliases = command.aliases();
  return [
    ...(top ? [] : [`### ${path}`, "", sentence(command.description()), ""]),
    "```",
    `${path} ${command.usage()}`.trimEnd(),
    "```",
    "",
    ...(aliases.length > 0 ? [`Also: ${aliases.map((alias) => `\`${alias}\``).join(", ")}.`, ""] : []),
    ...(command.registeredArguments.length > 0
      ? [...table(["argument", "what it is"], command.registeredArguments.map(argumentRow)), ""]
      : []),
    ...(command.options.length > 0 ? [...table(["option", "what it does"], command.options.map(optionRow)), ""] : []),
    ...(notes.length > 0 ? [...notes, ""] : []),
    ...(examples.length > 0 ? ["```", ...examples, "```", ""] : []),
  ];
}

/** What `addHelpText("after", …)` added: the help as it is shown, without what commander itself makes of the command. */
function helpAfter(command: Command): { notes: string[]; examples: string[] } {
  let shown = "";
  command.configureOutput({ writeOut: (text) => void (shown += text), getOutHelpWidth: () => COLUMNS });
  const own = command.helpInformation();
  command.outputHelp();
  const after = shown
    .slice(own.length)
    .split("\n")
    .filter((line) => line.trim() !== "");
  const examples = after.filter((line) => EXAMPLE.test(line)).map((line) => line.replace(EXAMPLE, ""));
  return { notes: after.filter((line) => !EXAMPLE.test(line)), examples };
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const table = (head: readonly string[], rows: readonly string[][]): string[] => [
  `| ${head.join(" | ")} |`,
  `|${head.map(() => "---").join("|")}|`,
  ...rows.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`),
];

const argumentRow = (argument: Argument): string[] => [
  argument.required ? `\`${argument.name()}\`` : `\`${argument.name()}\` (optional)`,
  argument.description,
];

function optionRow(option: Option): string[] {
  const choices = option.argChoices ? ` (${option.argChoices.join(", ")})` : "";
  const preset =
    typeof option.defaultValue === "string" || typeof option.defaultValue === "number"
      ? ` (${String(option.defaultValue)} unless told)`
      : "";
  const needed = option.mandatory ? "; required" : "";
  return [`\`${option.flags}\``, `${option.description}${choices}${preset}${needed}`];
}
