/** The pieces that every view is laid out with. */
import { classes, html } from "../lib.js";

/** @param {{ title: string, about?: unknown, children?: unknown }} props */
export const Head = ({ title, about, children }) =>
  html`<header class="head">
    <div>
      <h1 tabindex="-1" id="title">${title}</h1>
      ${about && html`<p class="muted">${about}</p>`}
    </div>
    ${children && html`<div class="head-actions">${children}</div>`}
  </header>`;

/** @param {{ title?: unknown, about?: unknown, actions?: unknown, flush?: boolean, children?: unknown }} props */
export const Card = ({ title, about, actions, flush, children }) =>
  html`<section class=${classes("card", flush && "card-flush")}>
    ${
      title &&
      html`<div class="card-head">
        <div>
          <h2>${title}</h2>
          ${about && html`<p class="muted">${about}</p>`}
        </div>
        ${actions && html`<div class="head-actions">${actions}</div>`}
      </div>`
    }
    ${children}
  </section>`;

/** A figure and what it is.
 * @param {{ label: string, value: unknown, note?: unknown, tone?: string }} props */
export const Stat = ({ label, value, note, tone }) =>
  html`<div class=${classes("stat", tone && `stat-${tone}`)}>
    <dt>${label}</dt>
    <dd>${value}</dd>
    ${note && html`<dd class="stat-note">${note}</dd>`}
  </div>`;

/** Nothing here yet, and what to do about it.
 * @param {{ title: string, children?: unknown }} props */
export const Empty = ({ title, children }) =>
  html`<div class="empty">
    <p class="empty-title">${title}</p>
    ${children}
  </div>`;

/** Grey lines where figures will stand.
 * @param {{ lines?: number }} props */
export const Skeleton = ({ lines = 4 }) =>
  html`<div class="skeleton" role="status" aria-label="Loading">
    ${Array.from({ length: lines }, (_, i) => html`<span key=${i} style=${{ width: `${92 - ((i * 17) % 40)}%` }}></span>`)}
  </div>`;

/** A table that scrolls sideways where it must; `columns` are its titles, those that begin with ">" stand right.
 * @param {{ label: string, columns: readonly string[], children?: unknown }} props */
export const Table = ({ label, columns, children }) =>
  html`<div class="table-wrap" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead>
        <tr>
          ${columns.map((title, i) => html`<th key=${i} scope="col" class=${title.startsWith(">") ? "right" : ""}>${title.replace(">", "") || html`<span class="sr">Actions</span>`}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${children}
      </tbody>
    </table>
  </div>`;
