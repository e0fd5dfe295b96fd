import type { Command } from "commander";

/**
 * Commander takes a command's own options only after its name. People write `weir --service s state put …` as well,
 * so options that stand before the last command word are moved behind everything else (before a `--`).
 */
export function optionsLast(program: Command, argv: readonly string[]): string[] {
  const words: string[] = [];
  const moved: string[] = [];
  let command: Command = program;
  let i = 0;
  for (; i < argv.length && command.commands.length > 0; i += 1) {
    const token = argv[i] ?? "";
    if (token === "--") break;
    if (isOption(token)) {
      moved.push(token);
      const next = argv[i + 1];
      if (!token.includes("=") && next !== undefined && takesValue(program, token)) {
        moved.push(next);
        i += 1;
      }
      continue;
    }
    words.push(token);
    const sub = command.commands.find((c) => c.name() === token || c.aliases().includes(token));
    if (!sub) {
      i += 1;
      break;
    }
    command = sub;
  }
  const rest = argv.slice(i);
  const end = rest.indexOf("--");
  const at = end === -1 ? rest.length : end;
  return [...words, ...rest.slice(0, at), ...moved, ...rest.slice(at)];
}

/**
 * Commander tells of a required option that is missing before an unknown one, so `--perod day` was answered with "--period not specified".
 * Where the meant command does not know a long flag of `argv` (its options last), nothing is required of it: Commander then names the flag.
 */
export function unknownFlagsFirst(program: Command, argv: readonly string[]): void {
  let command: Command = program;
  for (const word of argv) {
    const sub = command.commands.find((c) => c.name() === word || c.aliases().includes(word));
    if (!sub) break;
    command = sub;
  }
  const known = [...command.options, ...program.options];
  for (let i = 0; i < argv.length && argv[i] !== "--"; i += 1) {
    const token = argv[i] ?? "";
    if (!token.startsWith("--")) continue;
    const flag = token.split("=", 1)[0];
    const option = known.find((o) => o.long === flag);
    if (!option && flag !== "--help") {
      for (const o of command.options) o.makeOptionMandatory(false);
      return;
    }
    // The word behind it is its value, whatever it begins with.
    if (option?.required && token === flag) i += 1;
  }
}

/** The first word that names one of `names`: which command is meant, before any is loaded. */
export function commandWord(argv: readonly string[], names: ReadonlySet<string>, valueFlags: ReadonlySet<string>): string | null {
  for (let i = 0; i < argv.length; i += 1) {
    const token = argv[i] ?? "";
    if (token === "--") return null;
    if (valueFlags.has(token)) i += 1;
    else if (!isOption(token)) return names.has(token) ? token : null;
  }
  return null;
}

const isOption = (token: string): boolean => token.length > 1 && token.startsWith("-");

/** True when any command of the tree has `flag` with a value. One flag takes a value everywhere or nowhere (a test holds it so). */
function takesValue(command: Command, flag: string): boolean {
  const here = command.options.some((o) => (o.long === flag || o.short === flag) && (o.required || o.optional));
  return here || command.commands.some((sub) => takesValue(sub, flag));
}
