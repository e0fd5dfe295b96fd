/** A meter over time, with its limits drawn in. */
import { call, download } from "../api.js";
import { serverNow } from "../clock.js";
import { moment, quantity } from "../figures.js";
import { html, useMemo, useState } from "../lib.js";
import { useLoad } from "../load.js";
import { Button, Choice } from "../parts/button.js";
import { Chart } from "../chart.js";
import { Empty, Skeleton, Table } from "../parts/layout.js";
import { ProblemNote } from "../parts/problem.js";
import { limitLines, points, SPANS } from "./series.js";

/** @import { MeterStanding, Usage } from "../types.ts" */

const ROWS_SHOWN = 60;

/** @param {{ standing: MeterStanding, usage: Usage }} props */
export function History({ standing, usage }) {
  const { meter, unit, kind } = standing;
  const [span, setSpan] = useState("day-30");
  const [asTable, setAsTable] = useState(false);
  const { granularity, days } = SPANS[span] ?? SPANS["day-30"];
  const query = { meter, granularity, from: new Date(serverNow() - days * 86_400_000).toISOString() };
  // A whole hour's figure is booked a second after its last check: reading again on every change would draw the same bars.
  const read = useLoad(`${meter} ${span} ${usage.windows.day.start}`, (signal) => call("GET", "/v1/usage/history", { query, signal }));
  const series = /** @type {{ series: { start: string, quantity: number }[] } | null} */ (read.data)?.series;
  const shown = useMemo(() => (series ? points(series, granularity, days, kind) : null), [series, granularity, days, kind]);
  const limits = limitLines(usage, standing, granularity);
  return html`<section class="history" aria-label="History">
    <div class="history-head">
      <h3>History</h3>
      <${Choice} label="Span" value=${span} options=${Object.entries(SPANS).map(([key, s]) => [key, s.text])} onChange=${setSpan} />
    </div>
    <${ProblemNote} problem=${read.problem} onRetry=${read.reload} />
    ${!shown && !read.problem && html`<${Skeleton} lines=${6} />`}
    ${
      shown &&
      series?.length === 0 &&
      html`<${Empty} title="Nothing was counted in this span"
        ><p>Choose a longer one, or send a check: <code>weir check ${usage.account} --usage ${meter}=1</code></p></${Empty}
      >`
    }
    ${shown && series?.length !== 0 && (asTable ? html`<${Rows} shown=${shown} unit=${unit} />` : html`<${Chart} key=${`${meter} ${span}`} data=${shown} unit=${unit} limits=${limits} level=${kind === "gauge"} label=${`${meter}, ${SPANS[span]?.text}`} />`)}
    <div class="row history-foot">
      <${Button} kind="quiet" icon="again" onClick=${read.reload} busy=${read.loading}>Read again</${Button}>
      <${Button} kind="quiet" onClick=${() => setAsTable(!asTable)}>${asTable ? "As a chart" : "As a table"}</${Button}>
      <${Button}
        kind="quiet"
        icon="down"
        onClick=${() => void download(`/v1/usage/history?${new URLSearchParams({ ...query, format: "csv" })}`, `${meter}.csv`)}
        >CSV</${Button}
      >
    </div>
  </section>`;
}

/** @param {{ shown: [number[], number[]], unit: string }} props */
function Rows({ shown: [starts, quantities], unit }) {
  const rows = starts.map((at, i) => ({ at, n: quantities[i] ?? 0 })).reverse();
  const counted = rows.filter(({ n }) => n !== 0).slice(0, ROWS_SHOWN);
  return html`<${Table} label="History as a table" columns=${["From", ">Counted"]}>
    ${counted.map(
      ({ at, n }) =>
        html`<tr key=${at}>
          <td>${moment(new Date(at * 1000).toISOString())}</td>
          <td class="right">${quantity(n, unit)}</td>
        </tr>`,
    )}
  </${Table}>`;
}
