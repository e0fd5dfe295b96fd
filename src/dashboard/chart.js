/** A chart over time, drawn by uPlot, which is fetched when the first one is shown. */
import { quantity, short } from "./figures.js";
import { html, useEffect, useRef } from "./lib.js";

/** @import uPlot from "uplot" */
/** @import { LimitLine } from "./usage/series.js" */

const HEIGHT = 220;
const FONT = "12px system-ui, sans-serif";

/** @typedef {{ data: [number[], number[]], unit: string, limits: LimitLine[], level: boolean, label: string }} ChartProps */

/** Bars of what was counted (or the line of a level), with limits as dashed lines. Drag to zoom, double-click to see all.
 * @param {ChartProps} props */
export function Chart(props) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    let gone = false;
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: widthOf(place.current), height: HEIGHT }));
    void import("uplot").then(({ default: UPlot }) => {
      if (gone || !place.current) return;
      plot.current = new UPlot(optionsOf(UPlot, latest, widthOf(place.current)), latest.current.data, place.current);
      resized.observe(place.current);
    });
    return () => {
      gone = true;
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(props.data), [props.data]);
  useEffect(() => plot.current?.redraw(), [JSON.stringify(props.limits)]);
  const [starts, quantities] = props.data;
  const most = Math.max(0, ...quantities);
  const words = `${props.label}: ${starts.length} points, at most ${quantity(most, props.unit)}. The table below has the figures.`;
  return html`<div class="chart">
    <div ref=${place} role="img" aria-label=${words}></div>
    <p class="hint">Drag over a stretch to zoom in, double-click to see all.</p>
  </div>`;
}

/** @param {Element | null} element */
const widthOf = (element) => Math.max(240, element?.clientWidth ?? 0);

/** A token as a colour that a canvas understands: by way of an element, since `light-dark()` is resolved there only.
 * @param {string} token */
function colour(token) {
  const probe = document.documentElement.appendChild(document.createElement("i"));
  probe.style.color = `var(${token})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** @param {typeof uPlot} UPlot
 * @param {{ current: ChartProps }} latest
 * @param {number} width
 * @returns {uPlot.Options} */
function optionsOf(UPlot, latest, width) {
  const { unit, level } = latest.current;
  const axis = { stroke: () => colour("--muted"), font: FONT, grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false } };
  const bars = UPlot.paths.bars?.({ size: [0.8, 64], align: 1 });
  const steps = UPlot.paths.stepped?.({ align: 1 });
  const paths = level ? steps : bars;
  return {
    width,
    height: HEIGHT,
    tzDate: (at) => UPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    legend: { live: true, markers: { show: false } },
    cursor: { y: false, drag: { x: true, y: false } },
    // The last bar begins at the last point and is as wide as the others.
    scales: {
      x: { range: (plot, from, to) => [from, to + stepOf(plot.data[0])] },
      y: { range: (_, __, most) => [0, ceilingOf(most, latest.current.limits)] },
    },
    axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((n) => short(n, unit)) }],
    series: [
      { value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      {
        label: level ? "Level" : "Counted",
        stroke: () => colour("--accent"),
        fill: () => colour("--accent-soft"),
        width: 1.5,
        points: { show: false },
        value: (_, n) => (n === null ? "–" : quantity(n, unit)),
        ...(paths ? { paths } : {}),
      },
    ],
    hooks: { draw: [(plot) => drawLimits(plot, latest.current)] },
  };
}

/** @param {ArrayLike<number>} starts */
const stepOf = (starts) => (starts.length > 1 ? (starts[starts.length - 1] ?? 0) - (starts[starts.length - 2] ?? 0) : 3_600);

/** A limit that is not far above the bars is seen; a far one would flatten them.
 * @param {number} most
 * @param {LimitLine[]} limits */
function ceilingOf(most, limits) {
  const near = limits.map(({ value }) => value).filter((value) => value <= Math.max(most, 1) * 4);
  return Math.max(most, ...near, 1) * 1.1;
}

/** @param {uPlot} plot
 * @param {ChartProps} props */
function drawLimits(plot, { limits, unit }) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  for (const { value, text, kind } of limits) {
    const y = plot.valToPos(value, "y", true);
    if (y < bbox.top) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour(kind === "cap" ? "--bad" : "--warning");
    ctx.lineWidth = 1.5 * scale;
    ctx.setLineDash([6 * scale, 4 * scale]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${12 * scale}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.fillText(
      `${text}: ${quantity(value, unit)}`,
      bbox.left + bbox.width - 4 * scale,
      y + (y - bbox.top < 18 * scale ? 15 : -5) * scale,
    );
    ctx.restore();
  }
}
