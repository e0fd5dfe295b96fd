/** The one door to the view library: everything else imports from here. */
import { Fragment, h, render } from "preact";
import { useCallback, useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import htm from "htm";

export { Fragment, render, useCallback, useEffect, useId, useMemo, useRef, useState };

/** @import { VNode } from "preact" */

const build = /** @type {(strings: readonly string[], ...values: unknown[]) => VNode} */ (/** @type {unknown} */ (htm.bind(h)));
const templates = /** @type {WeakMap<TemplateStringsArray, string[]>} */ (new WeakMap());

/** Markup as a tagged template: `html\`<p>${text}</p>\``. What is inserted is text, never markup. A line break is a space, as in HTML;
 * the builder would drop it, and with it the space between two words.
 * @param {TemplateStringsArray} strings
 * @param {...unknown} values */
export function html(strings, ...values) {
  let spaced = templates.get(strings);
  if (!spaced) {
    spaced = strings.map((text) => text.replace(/\s*\n\s*/g, " "));
    spaced[0] = (spaced[0] ?? "").trimStart();
    spaced.push((spaced.pop() ?? "").trimEnd());
    templates.set(strings, spaced);
  }
  return build(spaced, ...values);
}

/** Joins class names, leaving out what is false.
 * @param {...(string | false | null | undefined)} names */
export const classes = (...names) => names.filter(Boolean).join(" ");
