import type { Period } from "../kernel/window.ts";
import type { Cap } from "./cap.ts";

/** What thresholds are taken of a cap. */
export type CapThreshold = Pick<Cap, "meter" | "period" | "capValue" | "notifyAtPercent">;

/** What an account's limits follow from: enough to say later which thresholds stood, in some 20 bytes and 40 a cap. */
export interface LimitSources {
  catalogVersion: number;
  plan: string;
  caps: readonly CapThreshold[];
}

type Packed = [catalogVersion: number, plan: string, caps: [meter: string, period: Period, capValue: number, notifyAtPercent: number][]];

/** The same text for the same sources. */
export function limitSourcesText({ catalogVersion, plan, caps }: LimitSources): string {
  const packed: Packed = [catalogVersion, plan, caps.map((c) => [c.meter, c.period, c.capValue, c.notifyAtPercent])];
  return JSON.stringify(packed);
}

/** Reads what `limitSourcesText` wrote. */
export function readLimitSources(text: string): LimitSources {
  const [catalogVersion, plan, caps] = JSON.parse(text) as Packed;
  return {
    catalogVersion,
    plan,
    caps: caps.map(([meter, period, capValue, notifyAtPercent]) => ({ meter, period, capValue, notifyAtPercent })),
  };
}
