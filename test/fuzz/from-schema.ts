import * as fc from "fast-check";

/** What is used of JSON Schema in the OpenAPI document's requests. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
}

/** Elements and members of what is made here; longer ones are hostile.ts's affair. */
const ITEMS_MAX = 3;
const CHARACTERS_MAX = 64;
const FORMATS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  email: fc.constantFrom("ada@example.com", "o'neil+x@mail.example.org"),
  uri: fc.webUrl(),
};

/** A schema with what it refers to in place of each reference; none of the document's refers to itself. */
export function resolved(schema: Schema, named: Readonly<Record<string, Schema>>): Schema {
  const put = (part: unknown): unknown => {
    if (typeof part !== "object" || part === null) return part;
    if (Array.isArray(part)) return part.map(put);
    const ref = "$ref" in part && typeof part.$ref === "string" ? part.$ref : null;
    if (ref !== null) return put(named[ref.replace("#/components/schemas/", "")]);
    return Object.fromEntries(Object.entries(part).map(([name, member]) => [name, put(member)]));
  };
  return put(schema) as Schema;
}

/** Values that a schema describes. `known` are those that members of some names stand for: without them nearly every id would be unknown. */
export function valuesOf(schema: Schema, known: ReadonlyMap<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return fc.oneof(...alternatives.map((alternative) => valuesOf(alternative, known)));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if ("const" in schema) return fc.constant(schema.const);
  const types = [schema.type ?? "any"].flat();
  return fc.oneof(...types.map((type) => ofType(type, schema, known)));
}

function ofType(type: string, schema: Schema, known: ReadonlyMap<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const { minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER } = schema;
  switch (type) {
    case "string":
      return texts(schema);
    case "integer":
      return fc.oneof(
        fc.integer({ min: Math.max(minimum, -9), max: Math.min(maximum, Math.max(minimum, 99)) }),
        fc.constantFrom(minimum, maximum),
      );
    case "number":
      return fc.double({ min: minimum, max: maximum, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valuesOf(schema.items ?? {}, known), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? ITEMS_MAX, ITEMS_MAX + (schema.minItems ?? 0)),
      });
    case "object":
      return objects(schema, known);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function texts({ pattern, format, minLength = 0, maxLength = CHARACTERS_MAX }: Schema): fc.Arbitrary<string> {
  const formatted = format === undefined ? undefined : FORMATS[format];
  if (formatted) return formatted;
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  const instant = fc.constantFrom("2040-03-01T00:00:00Z", "2040-03-21T11:59:59.999Z", "2040-03-21T13:00:00+02:00");
  return fc.oneof(fc.string({ minLength, maxLength: Math.min(maxLength, CHARACTERS_MAX) }), instant);
}

function objects(schema: Schema, known: ReadonlyMap<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
  const members = Object.fromEntries(
    Object.entries(properties).map(([name, member]) => {
      const plain = valuesOf(member, known);
      const named = known.get(name);
      return [name, named ? fc.oneof({ weight: 4, arbitrary: named }, { weight: 1, arbitrary: plain }) : plain];
    }),
  );
  const record = fc.record(members, { requiredKeys: required });
  if (typeof additionalProperties !== "object") return record;
  const meter = known.get("meter");
  const names = valuesOf(propertyNames ?? { type: "string" }, known).map(String);
  const keys = meter ? fc.oneof({ weight: 4, arbitrary: meter.map(String) }, { weight: 1, arbitrary: names }) : names;
  const others = fc.dictionary(keys, valuesOf(additionalProperties, known), { maxKeys: ITEMS_MAX, noNullPrototype: true });
  return fc.tuple(record, others).map(([own, other]) => ({ ...other, ...own }));
}
