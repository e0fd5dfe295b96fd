import type { Command } from "commander";
import { action, show } from "../context.ts";
import { EXIT } from "../exit.ts";
import { count, usd } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";
import type { Surface } from "../terminal/surface.ts";

interface Pricing {
  currency: string;
  plans: { key: string; name: string; subscriptionUsdMicrosPerMonth: number; paidOverages: boolean }[];
  products: Product[];
}

interface Product {
  key: string;
  name: string;
  summary: string;
  meter_details: { name: string; unit: string; kind: string; description: string }[];
  limit_fields: { name: string; free: unknown; pro: unknown }[];
  pricing_fields: { name: string; value: unknown }[];
}

export function register(command: Command): void {
  command.argument("[product]", "one product only, for example state").action(
    action(async (context, [only = ""]) => {
      const body = await context.api.call<Pricing>("GET", "/v1/pricing", { withoutAccount: true });
      show(context, body, (pricing) => pricingLines(pricing, only, context.out));
      return EXIT.ok;
    }),
  );
}

function pricingLines(pricing: Pricing, only: string, out: Surface): string[] {
  const plans = table(
    [{ title: "PLAN" }, { title: "A MONTH", align: "right" }, { title: "OVERAGE" }],
    pricing.plans.map((p) => [p.name, usd(p.subscriptionUsdMicrosPerMonth), p.paidOverages ? "billed" : "stopped at the limit"]),
    out.style,
  );
  const products = pricing.products.filter((p) => only === "" || p.key === only);
  if (products.length === 0) return [`There is no product "${only}". There are: ${pricing.products.map((p) => p.key).join(", ")}.`];
  return [...plans, ...products.flatMap((product) => ["", ...productLines(product, out)])];
}

function productLines(product: Product, out: Surface): string[] {
  const { style } = out;
  const lines = [`${style.strong(product.name)}  ${style.faint(product.summary)}`];
  lines.push(
    ...table(
      [{ title: "METER" }, { title: "UNIT" }, { title: "WHAT IT COUNTS" }],
      product.meter_details.map((m) => [m.name, m.unit, m.description]),
      style,
    ),
  );
  if (product.limit_fields.length > 0) {
    const columns = [{ title: "LIMIT" }, { title: "FREE", align: "right" }, { title: "PRO", align: "right" }] as const;
    lines.push(
      "",
      ...table(
        columns,
        product.limit_fields.map((f) => [f.name, figure(f.free), figure(f.pro)]),
        style,
      ),
    );
  }
  if (product.pricing_fields.length > 0) {
    const columns = [{ title: "PRICE" }, { title: "VALUE", align: "right" }] as const;
    lines.push(
      "",
      ...table(
        columns,
        product.pricing_fields.map((f) => [f.name, figure(f.value)]),
        style,
      ),
    );
  }
  return lines;
}

function figure(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return Number.isInteger(value) ? count(value) : String(value);
  return typeof value === "string" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}
