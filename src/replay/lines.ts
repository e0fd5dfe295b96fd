/** The longest line that is kept, in characters. Longer ones are cut: a file without line breaks must not fill the memory. */
export const LINE_CHARS_MAX = 65_536;

/** The lines of a byte stream as UTF-8, without their ends (`\n` or `\r\n`), one at a time. */
export async function* lines(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  for await (const chunk of source) {
    const text = rest + decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      yield text.slice(start, text[end - 1] === "\r" && end > start ? end - 1 : end).slice(0, LINE_CHARS_MAX);
      start = end + 1;
    }
    rest = text.slice(start, start + LINE_CHARS_MAX);
  }
  const last = rest + decoder.decode();
  if (last !== "") yield last.replace(/\r$/, "");
}
