import { call, path, problemOf } from "../api.js";
import { bytes, count } from "../figures.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Bar } from "../parts/bar.js";
import { Button } from "../parts/button.js";
import { Field, Form } from "../parts/field.js";
import { Card, Empty, Skeleton } from "../parts/layout.js";
import { LongList } from "../parts/long-list.js";
import { ProblemNote } from "../parts/problem.js";
import { goTo, placeOf } from "../route.js";
import { useShared } from "../store.js";

/** @import { Problem, StoredObject } from "../types.ts" */

/** Each object listed is a row read: no more than is likely looked at. */
const PAGE = 200;

/** @param {{ service: string, namespace: string }} props */
export function Objects({ service, namespace }) {
  const list = usePages(path`/v1/services/${service}/state/namespaces/${namespace}/objects`);
  const [name, setName] = useState("");
  const ceiling = useCeiling();
  const shown = name === "" ? list.items : list.items.filter((o) => o.objectKey.includes(name));
  const open = () => {
    if (name !== "") goTo("state", service, namespace, name);
  };
  const row = (/** @type {StoredObject} */ o) =>
    html`<a class="grow break" href=${placeOf("state", service, namespace, o.objectKey)}>${o.objectKey}</a>
      <span class="object-size">${bytes(o.storageBytes)}${ceiling === null ? "" : ` of ${bytes(ceiling)}`}</span>
      <${Bar}
        used=${o.storageBytes}
        limit=${ceiling}
        state=${ceiling !== null && o.storageBytes >= ceiling ? "exceeded" : "ok"}
        label=${`${o.objectKey} stored`}
      />`;
  return html`<${Card}
    title="Objects"
    about=${`${count(list.items.length)} read${list.more ? "; more as you scroll" : ""}. Listing reads one row each.`}
    flush=${true}
  >
    <div class="pad">
      <${Form} row=${true} onSubmit=${open}>
        <div class="grow"><${Field} label="Find, or open one by its name" value=${name} onInput=${setName} spellcheck=${false} /></div>
        <${Button} type="submit" disabled=${name === ""}>Open</${Button}>
      </${Form}>
    </div>
    <${ProblemNote} problem=${list.problem} onRetry=${list.read} />
    ${list.items.length === 0 && list.loading && html`<${Skeleton} />`}
    ${
      list.items.length === 0 &&
      !list.loading &&
      !list.problem &&
      html`<${Empty} title="No object yet"
        ><p>
          An object is made by its first write: <code>weir state put ${namespace} room-1 topic hello --service ${service}</code>
        </p></${Empty}
      >`
    }
    ${list.items.length > 0 && html`<${LongList} label="Objects" items=${shown} row=${row} keyOf=${(/** @type {StoredObject} */ o) => o.objectKey} more=${list.more} onMore=${list.read} />`}
  </${Card}>`;
}

/** What one object may store under the account's plan. */
export function useCeiling() {
  const [usage, pricing] = [useShared("usage"), useShared("pricing")];
  return pricing?.plans.find((p) => p.key === usage?.plan)?.limits["stateSqliteStorageBytesPerObject"] ?? null;
}

/** A list that is read page by page.
 * @param {string} url */
function usePages(url) {
  const [items, setItems] = useState(/** @type {StoredObject[]} */ ([]));
  const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
  const [loading, setLoading] = useState(true);
  const cursor = useRef(/** @type {string | null} */ (null));
  const [more, setMore] = useState(true);
  const busy = useRef(false);
  const read = async () => {
    if (busy.current) return;
    busy.current = true;
    setLoading(true);
    setProblem(null);
    try {
      const page = /** @type {{ objects: StoredObject[], nextCursor: string | null }} */ (
        await call("GET", url, { query: { limit: PAGE, cursor: cursor.current } })
      );
      cursor.current = page.nextCursor;
      setItems((before) => before.concat(page.objects));
      setMore(page.nextCursor !== null);
    } catch (error) {
      setProblem(problemOf(error));
    }
    busy.current = false;
    setLoading(false);
  };
  useEffect(() => void read(), [url]);
  return { items, problem, loading, more, read: () => void read() };
}
