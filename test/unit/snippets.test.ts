import { describe, expect, it } from "vitest";
import { isPrinted, snippetsOf, stepsOf } from "../support/snippets.ts";

const block = (info: string, text: string): string => `Text.\n\n\`\`\`${info}\n${text}\n\`\`\`\n`;

describe("the blocks of a document", () => {
  it("are found with their language, their options and what they print", () => {
    const text = `${block("sh exit=3", "false")}${block("text", "no")}${block("json file=a.json", "{}")}${block("", "a → b")}`;
    expect(snippetsOf(text)).toMatchObject([
      { line: 3, language: "sh", text: "false\n", exit: 3, prints: "no\n", file: null, notRun: null },
      { language: "json", file: "a.json", prints: null },
    ]);
  });

  it("that are not run say why", () => {
    expect(snippetsOf(block("sh not run: needs Docker", "docker compose up"))[0]?.notRun).toBe("needs Docker");
  });

  it.each([
    ["bash", "ls", "none of"],
    ["", "$ ls", "so that it is run"],
    ["", "npx weir usage", "so that it is run"],
    ["sh later", "ls", "no option"],
    ["sh not run:", "ls", "no option"],
  ])("%s %s cannot escape", (info, text, said) => {
    expect(() => snippetsOf(block(info, text))).toThrow(said);
  });
});

it("a console's commands go over several lines, and each prints what follows it", () => {
  expect(stepsOf("$ a \\\n    b\none\ntwo\n$ c\n$ d\nthree\n")).toEqual([
    { typed: "a \\\n    b", prints: "one\ntwo\n" },
    { typed: "c", prints: "" },
    { typed: "d", prints: "three\n" },
  ]);
});

describe("what is printed", () => {
  it.each([
    ["used 3 of 5", "used  3 of 5\n", true],
    ["used 3 of 5", "used 4 of 5\n", false],
    ["a\nb", "a\n", false],
    ["a", "a\nb\n", false],
    ["until 2026-11-22T00:00:00.000Z (in 11 h 41 min)", "until 2031-01-02T23:00:00.000Z (in 3 min)", true],
    ["until 2026-11-22T00:00:00.000Z", "until tomorrow", false],
    ['{"id":"dec_…","n":1}', '{"id":"dec_8sKd0","n":1}', true],
    ['{"id":"dec_…","n":1}', '{"id":"dec_8sKd0","n":2}', false],
    ["first\n…\nlast", "first\n1\n2\nlast", true],
    ["first\n…\nlast", "first\nlast", true],
    ["first\n…\nlast", "first\n1\n2", false],
    ["$5.00 (a+b)", "$5.00 (a+b)", true],
    ["$5.00", "$5,00", false],
  ])("%j and %j: %s", (expected, actual, same) => {
    expect(isPrinted(expected, actual)).toBe(same);
  });
});
