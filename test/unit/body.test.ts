import { describe, expect, it } from "vitest";
import { parseBody } from "../../src/http/body.ts";

const refusal = (text: string | Buffer): string => {
  try {
    parseBody(Buffer.from(text));
    return "read";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

describe("a JSON body", () => {
  it.each([
    ["an object", '{"a":1,"b":{"c":[1,{"d":"e:f,\\"g\\":"}]}}'],
    ["text with escapes at its end", '{"a":"\\\\","b":"\\\\\\"","c":"\\u0022"}'],
    ["names that only look alike", '{"a":1,"A":1,"\\u0061\\u0061":1}'],
    ["the same name in two objects", '[{"a":1},{"a":1},{"a":{"a":1}}]'],
    ["names with colons and quotes", '{":":1,"\\":":2,"[":3,"{":4}'],
    ["a constructor that is a value", '{"constructor":1}'],
    ["text right to left and beyond the basic plane", '{"name":"\u05d0\u05d1\u202e\u{1f30a}"}'],
    ["a byte order mark", '\ufeff{"a":1}'],
    ["white space", ' \n{ "a" :\t1 , "b" : [ ] }\r\n'],
    ["a bare value", "null"],
  ])("is read as JSON.parse reads it: %s", (_, text) => {
    expect(parseBody(Buffer.from(text))).toEqual(JSON.parse(text.replace("\ufeff", "")));
  });

  it.each([
    ["nothing", ""],
    ["half an object", '{"a":'],
    ["two objects", "{}{}"],
    ["a comment", "{/* */}"],
    ["NaN", '{"a":NaN}'],
    ["hexadecimal", '{"a":0x10}'],
    ["a name twice", '{"a":1,"a":2}'],
    ["a name twice, once escaped", '{"a":1,"\\u0061":2}'],
    ["a name twice, deep inside", '[{"x":{"a":1,"b":[],"a":1}}]'],
    ["the prototype", '{"__proto__":{"admin":true}}'],
    ["the prototype, escaped", '{"\\u005f_proto__":1}'],
    ["the prototype, deep inside", '[[{"a":{"__proto__":null}}]]'],
    ["the constructor's prototype", '{"constructor":{"prototype":{"admin":true}}}'],
    ["half a character", Buffer.from([0x22, 0xc3, 0x22])],
    ["a surrogate in UTF-8", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ["an overlong quote", Buffer.from([0x22, 0xc0, 0xa2, 0x22])],
    ["UTF-16", Buffer.from('{"a":1}', "utf16le")],
  ])("is refused as invalid_json: %s", (_, text) => {
    expect(refusal(text)).toBe("invalid_json");
  });

  it.each([
    ["33 levels", "[".repeat(33) + "]".repeat(33)],
    ["levels without end", "[".repeat(500_000)],
    ["levels of objects without end", '{"a":'.repeat(100_000)],
    ["a list of 2,001", `[${"0,".repeat(2_000)}0]`],
    ["an object of 2,001", `{${Array.from({ length: 2_001 }, (__, i) => `"${i}":0`).join()}}`],
    ["60,001 values and more", `[${`[${"0,".repeat(999)}0],`.repeat(61)}0]`],
  ])("is refused before it is built: %s", (_, text) => {
    expect(refusal(text)).toBe("validation_failed");
  });

  it("may be as large as the largest request of the API", () => {
    expect(refusal("[".repeat(32) + "]".repeat(32))).toBe("read");
    const check = `{${Array.from({ length: 50 }, (__, i) => `"m${i}":1`).join()}}`;
    expect(refusal(`{"checks":[${Array(1_000).fill(check).join()}]}`)).toBe("read");
  });
});
