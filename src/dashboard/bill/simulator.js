/** What the same usage would have cost under another plan, with its fee and its prices on sliders. */
import { call } from "../api.js";
import { pause } from "../clock.js";
import { usd } from "../figures.js";
import { html, useRef, useState } from "../lib.js";
import { useLoad } from "../load.js";
import { Choice } from "../parts/button.js";
import { Select, Slider } from "../parts/field.js";
import { Card, Stat } from "../parts/layout.js";
import { Lines } from "./lines.js";

/** @import { PlanDocument, Simulated, Usage } from "../types.ts" */

/** A slider that is moved asks once it rests. */
const REST_MS = 250;
const YEAR_MS = 365 * 86_400_000;
const FEE_MAX = 100;
const SPANS = [
  ["month", "This month"],
  ["year", "A year"],
];

/** @param {{ usage: Usage }} props */
export function Simulator({ usage }) {
  const documents = useLoad("plans", (signal) => call("GET", "/v1/pricing/plans", { signal }));
  const plans = /** @type {{ plans: PlanDocument[] } | null} */ (documents.data)?.plans ?? [];
  const [key, setKey] = useState("pro");
  const [fee, setFee] = useState(/** @type {number | null} */ (null));
  const [percent, setPercent] = useState(100);
  const [span, setSpan] = useState("month");
  const base = plans.find((p) => p.key === key) ?? plans[0];
  const plan = base && altered(base, fee, percent);
  const from = span === "month" ? usage.windows.month.start : new Date(Date.parse(usage.windows.month.start) - YEAR_MS).toISOString();
  const read = useLoad(plan ? `${usage.account} ${span} ${JSON.stringify(plan)}` : null, async (signal) => {
    await pause(REST_MS, signal);
    return call("POST", "/v1/pricing/simulate", { body: { account: usage.account, plan, from, to: usage.asOf }, signal });
  });
  const last = useRef(/** @type {Simulated | null} */ (null));
  last.current = /** @type {Simulated | null} */ (read.data) ?? last.current;
  const found = last.current;
  const choose = (/** @type {string} */ chosen) => {
    setKey(chosen);
    setFee(null);
  };
  const shownFee = fee ?? (base?.subscriptionUsdMicrosPerMonth ?? 0) / 1e6;
  return html`<${Card} title="Try another plan" about="Your own usage, rated by the code that makes invoices. Nothing is changed.">
    <div class="sliders">
      <${Select} label="Plan" value=${key} options=${plans.map((p) => [p.key, p.name])} onChange=${choose} />
      <${Slider} label="Fee a month" value=${shownFee} min=${0} max=${FEE_MAX} step=${1} text=${usd(shownFee * 1e6)} onInput=${setFee} />
      <${Slider} label="Prices" value=${percent} min=${0} max=${300} step=${5} text=${`${percent} %`} onInput=${setPercent} />
    </div>
    <${Choice} label="Span" value=${span} options=${SPANS} onChange=${setSpan} />
    ${
      found &&
      html`<dl class="stats">
        <${Stat} label="It would have cost" value=${usd(found.totalUsdMicros)} />
        <${Stat} label="It cost" value=${usd(found.actualUsdMicros)} />
        <${Stat}
          label="Difference"
          value=${usd(found.totalUsdMicros - found.actualUsdMicros)}
          tone=${found.totalUsdMicros > found.actualUsdMicros ? "bad" : ""}
        />
      </dl>`
    }
    <${Lines} read=${read.problem || !found ? read : { ...read, problem: null }} lines=${found?.lines} />
  </${Card}>`;
}

/** The plan with another fee (dollars) and its prices at a percentage.
 * @param {PlanDocument} plan
 * @param {number | null} fee
 * @param {number} percent
 * @returns {PlanDocument} */
function altered(plan, fee, percent) {
  const charges = JSON.stringify(plan.charges, (name, value) =>
    /^(price|flat|fixed)UsdMicros$/.test(name) ? share(String(value), percent) : value,
  );
  const subscriptionUsdMicrosPerMonth = fee === null ? plan.subscriptionUsdMicrosPerMonth : fee * 1_000_000;
  return { ...plan, charges: JSON.parse(charges), subscriptionUsdMicrosPerMonth };
}

/** A percentage of a decimal, exactly.
 * @param {string} price
 * @param {number} percent */
function share(price, percent) {
  const [whole = "", fraction = ""] = price.split(".");
  const places = fraction.length + 2;
  const digits = (BigInt(whole + fraction) * BigInt(percent)).toString().padStart(places + 1, "0");
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`.replace(/\.?0+$/, "");
}
