import { Option, type Command } from "commander";
import { path } from "../api.ts";
import { action, show, type Context, type Args } from "../context.ts";
import { EXIT } from "../exit.ts";
import { integer } from "../parse.ts";
import { count, percent } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";

/** A cap with its state, as the API answers it. */
interface Cap {
  meter: string;
  period: "day" | "month";
  capValue: number;
  hardStop: boolean;
  notifyAtPercent: number;
  used: number;
  remaining: number | null;
  percent: number | null;
  state: string;
  resetsAt: string | null;
}

interface SetOptions {
  period: string;
  value: number;
  notifyAtPercent?: number;
  soft?: boolean;
}

const period = (): Option => new Option("--period <period>", "which window").choices(["day", "month"]).makeOptionMandatory();

export function register(command: Command): void {
  command
    .command("list")
    .description("the account's caps and where they stand")
    .action(
      action(async (context) => {
        const body = await context.api.call<{ caps: Cap[] }>("GET", "/v1/usage/caps");
        show(context, body, ({ caps }) => capLines(caps, context));
        return EXIT.ok;
      }),
    );
  command
    .command("set")
    .description("set a cap; it is in force for the very next check")
    .argument("<meter>", "for example state_requests")
    .addOption(period())
    .requiredOption("--value <n>", "the cap, in the meter's base unit", integer(0))
    .option("--notify-at-percent <n>", "also notify at this share of the cap (default 80)", integer(1, 100))
    .option("--soft", "notify only, do not stop")
    .action(action<SetOptions>(setCap));
  command
    .command("delete")
    .description("remove a cap; the plan's limit stays")
    .argument("<meter>", "for example state_requests")
    .addOption(period())
    .action(
      action<{ period: string }>(async (context, [meter = ""], options) => {
        const body = await context.api.call("DELETE", path`/v1/usage/caps/${meter}/${options.period}`);
        show(context, body, () => [`Removed the ${options.period} cap on ${meter}.`]);
        return EXIT.ok;
      }),
    );
}

async function setCap(context: Context, [meter = ""]: Args, options: SetOptions): Promise<typeof EXIT.ok> {
  const body = await context.api.call<Cap>("PUT", path`/v1/usage/caps/${meter}`, {
    body: {
      period: options.period,
      capValue: options.value,
      hardStop: options.soft !== true,
      ...(options.notifyAtPercent === undefined ? {} : { notifyAtPercent: options.notifyAtPercent }),
    },
  });
  show(context, body, (cap) => [`In force for the next check:`, ...capLines([cap], context)]);
  return EXIT.ok;
}

function capLines(caps: readonly Cap[], context: Context): string[] {
  if (caps.length === 0) return ["No caps. Set one: weir limits set state_requests --period day --value 50000"];
  const { style } = context.out;
  return table(
    [
      { title: "METER" },
      { title: "WINDOW" },
      { title: "USED", align: "right" },
      { title: "CAP", align: "right" },
      { title: "LEFT", align: "right" },
      { title: "", align: "right" },
      { title: "STOPS" },
      { title: "NOTIFY AT", align: "right" },
      { title: "RESETS" },
    ],
    caps.map((cap) => [
      cap.meter,
      cap.period,
      count(cap.used),
      count(cap.capValue),
      cap.remaining === null ? "–" : count(cap.remaining),
      { text: percent(cap.percent), paint: cap.state === "exceeded" ? style.bad : cap.state === "warning" ? style.warning : style.good },
      cap.hardStop ? "yes" : "no",
      `${cap.notifyAtPercent} %`,
      cap.resetsAt ?? "–",
    ]),
    style,
  );
}
