import * as fc from "fast-check";

/** JSON text that no value of JavaScript is written as: 1e400, a lone surrogate, one member twice. */
class Verbatim {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const verbatim = (...texts: string[]): Verbatim[] => texts.map((text) => new Verbatim(text));

/** JSON.stringify, but for what stands there word for word. */
export function toText(value: unknown): string {
  if (value instanceof Verbatim) return value.text;
  if (Array.isArray(value)) return `[${value.map(toText).join()}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}:${toText(member)}`)
      .join()}}`;
  return JSON.stringify(value) ?? "null";
}

const words = (text: string): string[] => text.split(" ");

const NUMBERS = verbatim(
  ...words("9007199254740991 9007199254740992 9007199254740993 -9007199254740992 18446744073709551616 -0 -1 0 1.5 1e400 -1e400 1e-400 1E3"),
  ...words("0.1e1 4.9e-324 123456789012345678901234567890 2147483648 -2147483649 01 +1 .5 1. 0x10 NaN Infinity 1_000"),
);

const CHARACTERS = words("\u0000 a\u0000b \u007f \u2028 \u202eabc אבג مرحبا \u200dx\u200b 👩‍👩‍👧‍👦 e\u0301 İ \\ \" ' \\u0000 % %00 %ZZ");
const NAMES = words("__proto__ constructor prototype toString hasOwnProperty then length valueOf . .. ../../etc/passwd a/b a}b{c {0} *");
const TEMPLATES = words("$1 ${7*7} {{7*7}} <script> 1e400 -0 007 9007199254740993 1.5 -1 NaN true null Infinity");
const INSTANTS = words(
  "2040-02-30T00:00:00Z 2040-03-21T24:00:00Z 2040-03-21T12:00:00 0000-01-01T00:00:00Z 9999-12-31T23:59:59.999Z " +
    "+275760-09-13T00:00:00Z -000001-01-01T00:00:00Z 2040-03-21T12:00:00+14:00 1969-12-31T23:59:59Z",
);
const ADDRESSES = words(
  "javascript:alert(1) file:///etc/passwd http://127.0.0.1:1/ http://a:b@127.0.0.1/ http://[::1]:1/ http://\u0000/ https://",
);
const LONG = [
  "0.".padEnd(60, "3"),
  "9".repeat(400),
  "x".repeat(513),
  "é".repeat(512),
  "😀".repeat(300),
  `${"a".repeat(40)}!`,
  "a@".repeat(60),
  "x".repeat(70_000),
];

export const HOSTILE_TEXTS: readonly string[] = [
  "",
  " ",
  "\n",
  "\r\nX: y",
  "'; DROP TABLE accounts; --",
  ...[CHARACTERS, NAMES, TEMPLATES, INSTANTS, ADDRESSES, LONG].flat(),
];

const TEXTS = [...HOSTILE_TEXTS, ...verbatim('"\\ud800"', '"\\udc00\\ud800"', '"a\\ud83d"', '"\\u0000"')];

const OTHERS: readonly unknown[] = [
  ...verbatim(...words('null true false [] {} [[]] [null] {"a":{"b":{}}} {"toString":1} {"$gt":0} {"length":-1} {"then":1} {"a":1,"a":2}')),
  ...verbatim(...words(`{"__proto__":{"allowed":true}} {"constructor":{"prototype":{"scope":"admin"}}} [1,] {,} undefined 'a'`)),
  ...[1_000, 1_001, 2_500].map((length) => Array.from({ length }, () => 0)),
  ...[40, 5_000].map((levels) => new Verbatim(`${"[".repeat(levels)}${"]".repeat(levels)}`)),
  new Verbatim(`${'{"a":'.repeat(40)}1${"}".repeat(40)}`),
];

const hostileValue = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown>(...NUMBERS) },
  { weight: 4, arbitrary: fc.constantFrom<unknown>(...TEXTS) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(...OTHERS) },
);

/** A change to one place of a value: `where` says which, as a share of all its places. */
type Mutation = { where: number } & (
  | { kind: "replace"; by: unknown }
  | { kind: "remove" }
  | { kind: "repeat" }
  | { kind: "add"; name: string; value: unknown }
  | { kind: "many"; times: number }
  | { kind: "deep"; levels: number }
);

const kind = <K extends Mutation["kind"]>(name: K) => fc.constant(name);
const where = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ where, kind: kind("replace"), by: hostileValue }) },
  { weight: 1, arbitrary: fc.record({ where, kind: kind("remove") }) },
  { weight: 1, arbitrary: fc.record({ where, kind: kind("repeat") }) },
  { weight: 2, arbitrary: fc.record({ where, kind: kind("add"), name: fc.constantFrom(...HOSTILE_TEXTS), value: hostileValue }) },
  { weight: 1, arbitrary: fc.record({ where, kind: kind("many"), times: fc.constantFrom(2, 1_001, 2_001) }) },
  { weight: 1, arbitrary: fc.record({ where, kind: kind("deep"), levels: fc.constantFrom(3, 33, 200) }) },
);

export const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });

/** The value with each change made; it is not touched itself. */
export const mutated = (value: unknown, changes: readonly Mutation[]): unknown =>
  changes.reduce((present, change) => at(present, Math.floor(change.where * placesIn(present)), change).value, value);

function placesIn(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof Verbatim) return 1;
  return 1 + Object.values(value).reduce<number>((sum, member) => sum + placesIn(member), 0);
}

/** Changes the place that is the `left`th from here; what is `left` afterwards is negative once it is done. */
function at(value: unknown, left: number, change: Mutation): { value: unknown; left: number } {
  if (left === 0) return { value: changed(value, change), left: -1 };
  if (typeof value !== "object" || value === null || value instanceof Verbatim) return { value, left: left - 1 };
  let rest = left - 1;
  const members = Object.entries(value).map(([name, member]) => {
    if (rest < 0) return [name, member] as const;
    const inner = at(member, rest, change);
    rest = inner.left;
    return [name, inner.value] as const;
  });
  const kept = members.filter(([, member]) => member !== undefined);
  return { value: Array.isArray(value) ? kept.map(([, member]) => member) : Object.fromEntries(kept), left: rest };
}

function changed(value: unknown, change: Mutation): unknown {
  switch (change.kind) {
    case "replace":
      return change.by;
    case "remove":
      return undefined;
    case "repeat":
      return new Verbatim(repeated(toText(value)));
    case "add":
      return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Verbatim)
        ? Object.fromEntries([...Object.entries(value), [change.name, change.value]])
        : change.value;
    case "many":
      return Array.from({ length: change.times }, () => (Array.isArray(value) ? (value[0] as unknown) : value));
    case "deep":
      return new Verbatim(`${'{"a":'.repeat(change.levels)}${toText(value)}${"}".repeat(change.levels)}`);
  }
}

/** An object that names its first member twice; of anything else, a list of two. */
function repeated(text: string): string {
  const first = /^\{("(?:[^"\\]|\\.)*":)/.exec(text)?.[1];
  return first === undefined ? `[${text},${text}]` : `{${first}0,${text.slice(1)}`;
}
