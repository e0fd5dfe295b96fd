/** Commands by the names that scripts of the State platform's users know them by. */
const COMMANDS: Readonly<Record<string, string>> = { limit: "limits", caps: "limits" };
/** Its names of flags that take a value. */
const FLAGS: Readonly<Record<string, string>> = { "--api": "--url" };
const OUTPUT = "--output";

/**
 * The command line in Weir's own words: `limit` and `caps` for `limits`, `--api <url>` for `--url`, `--output json` for `--json`. What it
 * does not know stays as it is, and what comes after `--` is nobody's flag.
 */
export function inOurWords(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  const ours: string[] = [];
  let commandSeen = false;
  for (let i = 0; i < argv.length; i += 1) {
    const token = argv[i] ?? "";
    if (end !== -1 && i >= end) {
      ours.push(token);
      continue;
    }
    const [flag = "", value] = token.startsWith("--") ? token.split(/=(.*)/s, 2) : [token];
    if (flag === OUTPUT) {
      const format = value ?? argv[(i += 1)];
      if (format === "json") ours.push("--json");
      else if (format !== "text") ours.push(token, ...(value === undefined && format !== undefined ? [format] : []));
    } else if (!commandSeen && !isValue(argv, i) && Object.hasOwn(COMMANDS, token)) {
      ours.push(COMMANDS[token] ?? token);
    } else if (Object.hasOwn(FLAGS, flag)) {
      ours.push(value === undefined ? (FLAGS[flag] ?? flag) : `${FLAGS[flag]}=${value}`);
    } else {
      ours.push(token);
    }
    commandSeen ||= !token.startsWith("-") && !isValue(argv, i);
  }
  return ours;
}

/** Flags that may stand before the command, with a value of their own. */
const EARLY = new Set(["--url", "--api", "--key", "--account", "--service"]);
const isValue = (argv: readonly string[], i: number): boolean => EARLY.has(argv[i - 1] ?? "");
