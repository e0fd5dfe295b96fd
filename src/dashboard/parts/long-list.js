/** A list of any length: only the rows in sight are drawn. */
import { html, useState } from "../lib.js";

const ROW_PX = 44;
const SIGHT_PX = 528;
/** Rows drawn beyond what is seen, so that a fast scroll shows no gap. */
const SPARE = 8;
/** How near to the end more is read. */
const NEAR_ROWS = 20;

/** @template T
 * @typedef {{ label: string, items: readonly T[], row: (item: T) => unknown, keyOf: (item: T) => string, more: boolean, onMore: () => void }} LongListProps */

/** @template T
 * @param {LongListProps<T>} props */
export function LongList({ label, items, row, keyOf, more, onMore }) {
  const [top, setTop] = useState(0);
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE);
  const last = Math.min(items.length, Math.ceil((top + SIGHT_PX) / ROW_PX) + SPARE);
  const scrolled = (/** @type {{ currentTarget: HTMLElement }} */ { currentTarget }) => {
    setTop(currentTarget.scrollTop);
    const seen = (currentTarget.scrollTop + currentTarget.clientHeight) / ROW_PX;
    if (more && seen > items.length - NEAR_ROWS) onMore();
  };
  return html`<div
    class="long-list"
    role="list"
    aria-label=${label}
    tabindex="0"
    onScroll=${scrolled}
    style=${{ maxHeight: `${SIGHT_PX}px` }}
  >
    <div role="presentation" style=${{ height: `${items.length * ROW_PX}px`, paddingTop: `${first * ROW_PX}px` }}>
      ${items
        .slice(first, last)
        .map(
          (item, i) =>
            html`<div
              role="listitem"
              class="long-row"
              key=${keyOf(item)}
              aria-posinset=${first + i + 1}
              aria-setsize=${more ? -1 : items.length}
            >
              ${row(item)}
            </div>`,
        )}
    </div>
  </div>`;
}
