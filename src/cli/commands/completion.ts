import type { Command } from "commander";
import { action } from "../context.ts";
import { EXIT } from "../exit.ts";
import { usageError } from "../failure.ts";

/** What may come next. A path is the words of a command: `""` is `weir` itself, `"state alarm"` one of its commands. */
interface Words {
  /** Path → commands and flags that may follow it. */
  after: ReadonlyMap<string, readonly string[]>;
  /** Path and flag, such as `limits set --period` → the values that flag takes, where they are few. */
  values: ReadonlyMap<string, readonly string[]>;
}

const SHELLS: Readonly<Record<string, (words: Words) => string>> = { bash, zsh, fish };

export function register(command: Command): void {
  command
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText("after", "\nAppend what it prints to ~/.bashrc, ~/.zshrc, or ~/.config/fish/completions/weir.fish.")
    .action(
      action(async (context, [shell = ""]) => {
        const write = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
        if (!write) throw usageError(`"${shell}" is no shell that is known.`, `There are: ${Object.keys(SHELLS).join(", ")}.`);
        // Loaded here: the program loads this file.
        const { buildProgram } = await import("../program.ts");
        context.out.write(write(wordsOf(await buildProgram("all", ""))));
        return EXIT.ok;
      }),
    );
}

function wordsOf(program: Command): Words {
  const after = new Map<string, string[]>();
  const values = new Map<string, readonly string[]>();
  const walk = (command: Command, path: readonly string[]): void => {
    const flags = [...command.options, ...(path.length > 0 ? program.options : [])].flatMap(({ long }) => long ?? []);
    for (const { long, argChoices } of command.options) if (argChoices) values.set([...path, long].join(" "), argChoices);
    after.set(path.join(" "), [...command.commands.map((sub) => sub.name()), ...flags]);
    for (const sub of command.commands) walk(sub, [...path, sub.name()]);
  };
  walk(program, []);
  return { after, values };
}

/** The longest path of command words on the line decides what comes next; zsh takes bash's function as it is. */
function bash({ after, values }: Words): string {
  const cases = (words: Words["after"]): string =>
    [...words].map(([path, next]) => `      "${path}") words="${next.join(" ")}" ;;`).join("\n");
  return `# weir completion bash
_weir() {
  local path="" words="" word next last="\${COMP_WORDS[COMP_CWORD-1]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${path:+$path }$word"
    case "$next" in
      ${[...after.keys()]
        .filter(Boolean)
        .map((path) => `"${path}"`)
        .join("|")}) path="$next" ;;
    esac
  done
  case "$path $last" in
${cases(values)}
      *) case "$path" in
${cases(after)}
      esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _weir weir
`;
}

function zsh(words: Words): string {
  return `# weir completion zsh\nautoload -U +X bashcompinit && bashcompinit\n${bash(words)}`;
}

function fish({ after, values }: Words): string {
  const lines = [...after].flatMap(([path, next]) => {
    const parts = path.split(" ").filter(Boolean);
    const when = parts.length === 0 ? "__fish_use_subcommand" : parts.map((part) => `__fish_seen_subcommand_from ${part}`).join("; and ");
    return next.map((word) => {
      const choices = values.get([path, word].join(" ").trim());
      const value = choices === undefined ? "" : ` -x -a '${choices.join(" ")}'`;
      const what = word.startsWith("--") ? `-l ${word.slice(2)}${value}` : `-a ${word}`;
      return `complete -c weir -f -n '${when}' ${what}`;
    });
  });
  return `# weir completion fish\n${lines.join("\n")}\n`;
}
