/** Meters with their quantities, as many operations count them: one object for all of these. */
export interface Shape {
  readonly meters: readonly string[];
  readonly quantities: readonly number[];
  /** The end of the field its operations are counted in as a whole; empty while each meter is. */
  readonly whole: string;
}

type Usage = readonly (readonly [meter: string, quantity: number])[];

/** Shapes known at once, 300 bytes each. */
const SHAPES_MAX = 10_000;
/** How often a shape must come up before it is counted as a whole: one that comes once, as a measured duration does, needs a field of its own. */
const COMMON_FROM = 16;
/** Fields that an hour's totals may come to have for each process and place by it. */
const COMMON_MAX = 64;

/** The shapes this process has met. */
export class Shapes {
  readonly #shapes = new Map<string, { shape: Shape; met: number }>();
  #common = 0;

  of(usage: Usage): Shape {
    const name = nameOf(usage);
    let known = this.#shapes.get(name);
    if (!known) {
      // Common ones stay counted as they are: those that come anew are met again.
      if (this.#shapes.size >= SHAPES_MAX) this.#shapes.clear();
      known = { shape: { meters: usage.map(([meter]) => meter), quantities: usage.map(([, quantity]) => quantity), whole: "" }, met: 0 };
      this.#shapes.set(name, known);
    }
    known.met += 1;
    if (known.met === COMMON_FROM && this.#common < COMMON_MAX) {
      this.#common += 1;
      known.shape = { ...known.shape, whole: `#${name}` };
    }
    return known.shape;
  }
}

/** `meter,quantity;…` */
function nameOf(usage: Usage): string {
  let name = "";
  for (const [meter, quantity] of usage) name += `${meter},${quantity};`;
  return name;
}

/**
 * Adds up what a field of the totals stands for: `…/meter` for itself, `…/#meter,quantity;…` (quick.lua) for so many operations of that
 * shape. `add` is told each meter's field.
 */
export function eachTotal(field: string, value: number, add: (field: string, quantity: number) => void): void {
  const at = field.indexOf("#");
  if (at < 0) return add(field, value);
  const prefix = field.slice(0, at);
  for (const part of field.slice(at + 1).split(";")) {
    const comma = part.indexOf(",");
    if (comma > 0) add(prefix + part.slice(0, comma), value * Number(part.slice(comma + 1)));
  }
}
