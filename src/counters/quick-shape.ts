/** Meters with their quantities, as many operations count them, in places that many accounts have: one object for all of these. */
export interface Shape {
  readonly meters: readonly string[];
  readonly quantities: readonly number[];
  /** Of each meter among the rooms of its account (quick.lua). */
  readonly places: readonly number[];
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

interface MetShape extends Shape {
  whole: string;
  met: number;
}

/** The shapes this process has met. */
export class Shapes {
  readonly #shapes = new Map<string, MetShape>();
  /** Fields of shapes that are counted as a whole; some differ in their places alone. */
  readonly #common = new Set<string>();

  /** `places`: of each meter among the account's rooms. */
  of(usage: Usage, places: readonly number[]): Shape {
    const name = `${nameOf(usage)}${places.join(",")}`;
    let shape = this.#shapes.get(name);
    if (!shape) {
      // Common ones stay counted as they are: those that come anew are met again.
      if (this.#shapes.size >= SHAPES_MAX) this.#shapes.clear();
      shape = { meters: usage.map(([meter]) => meter), quantities: usage.map(([, quantity]) => quantity), places, whole: "", met: 0 };
      this.#shapes.set(name, shape);
    }
    return shape;
  }

  /** Notes that an operation of the shape came up. */
  meet(shape: Shape): void {
    const met = shape as MetShape;
    met.met += 1;
    if (met.met !== COMMON_FROM) return;
    const whole = `#${nameOf(met.meters.map((meter, i) => [meter, met.quantities[i] ?? 0]))}`;
    if (this.#common.size >= COMMON_MAX && !this.#common.has(whole)) return;
    this.#common.add(whole);
    met.whole = whole;
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
