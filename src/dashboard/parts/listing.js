import { html } from "../lib.js";
import { Empty, Skeleton, Table } from "./layout.js";
import { ProblemNote } from "./problem.js";

/** @import { Loaded } from "../load.js" */

/** A table of what was read; else what went wrong, what is awaited, or what there is to do when there is nothing.
 * @param {{ read: Loaded<unknown>, items: readonly any[] | undefined, label: string, columns: readonly string[], row: (item: any) => unknown, empty: string, hint?: unknown }} props */
export const Listing = ({ read, items, label, columns, row, empty, hint }) =>
  html`<${ProblemNote} problem=${read.problem} onRetry=${read.reload} /> ${!items && !read.problem && html`<${Skeleton} />`}
    ${items && (items.length > 0 ? html`<${Table} label=${label} columns=${columns}>${items.map(row)}</${Table}>` : html`<${Empty} title=${empty}>${hint && html`<p>${hint}</p>`}</${Empty}>`)}`;
