/** What a line of the log is about; a line of JSON is shown by its error, with where it comes from. */
export function troubleOf(line: string): string {
  if (!line.startsWith("{")) return line;
  const { err, msg } = JSON.parse(line) as { err?: { message?: string; stack?: string }; msg?: string };
  return `${msg ?? ""}: ${err?.message ?? ""} (${/src\/\S+/.exec(err?.stack ?? "")?.[0] ?? "?"})`;
}
