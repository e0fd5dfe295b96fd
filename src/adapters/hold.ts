import { METER, type Actual, type Denial, type MeterPort, type MeterRequest, type Place, type Reserved, type Usage } from "./port.ts";

/** Asks for less after a refusal, at most so often: another caller may have taken the remainder in between. */
const ROUNDS_MAX = 4;

/** Quantities to hold: counters, and how far stored bytes may grow (null for a call that stores nothing). */
export interface Want {
  usage: Usage;
  growthBytes: number | null;
}

/** Plain JSON, so that a runtime can journal it. */
export interface Held extends Want {
  reservation: string | null;
  /** Limits that refused the whole want; what is left of it was then asked for. */
  denials: Denial[];
}

/**
 * Holds `want`, or as much of it as the limits have left, so that the last units of a limit are not out of reach of a caller that holds
 * more than it needs. With `whole`, all of it or nothing. `key` names the hold for ever.
 */
export async function holdMost(
  port: MeterPort,
  place: Place,
  want: Want,
  options: { key: string; ttlSeconds: number; whole?: boolean },
): Promise<Held> {
  const denials: Denial[] = [];
  for (let round = 0, asked = want; round < ROUNDS_MAX && !isNothing(asked); round++) {
    const request: MeterRequest = {
      ...place,
      usage: asked.usage,
      // Also where it may not grow: only a reservation that knows of storage takes a size when it is settled.
      ...(asked.growthBytes === null ? {} : { storageBytes: { delta: asked.growthBytes } }),
      idempotencyKey: round === 0 ? options.key : `${options.key}.${round}`,
    };
    const answer = await port.reserve(request, options.ttlSeconds);
    if (answer.allowed) return { ...asked, reservation: answer.reservation?.id ?? null, denials };
    const fresh = answer.denials.filter(({ meter }) => !denials.some((known) => known.meter === meter));
    denials.push(...(options.whole ? fresh : fresh.map((denial) => ofRemainder(denial, answer))));
    if (options.whole) break;
    asked = clip(asked, answer.denials);
  }
  return { usage: {}, growthBytes: want.growthBytes === null ? null : 0, reservation: null, denials };
}

const isNothing = ({ usage, growthBytes }: Want): boolean => !growthBytes && Object.values(usage).every((n) => n === 0);

/** A refusal of more than was needed, in the words of what it means for the call: it may go as far as the limit. */
function ofRemainder(denial: Denial, { meters }: Reserved): Denial {
  const { meter, limit, used, reserved } = denial;
  const message = `${meter}: the limit is ${limit}; ${used} were used and ${reserved} held when this call began, and it has used the rest.`;
  return { ...denial, message, resetsAt: meters[meter ?? ""]?.resetsAt ?? denial.resetsAt };
}

function clip(want: Want, denials: readonly Denial[]): Want {
  const usage = { ...want.usage };
  let { growthBytes } = want;
  for (const { meter, limit, used, reserved } of denials) {
    const left = Math.max(0, limit - used - reserved);
    // A refusal that leaves as much as was asked for is not of this sum: asking again would not help.
    const clipped = (asked: number): number => (left < asked ? left : 0);
    if (meter === METER.storage) growthBytes = clipped(growthBytes ?? 0);
    else if (meter !== null) usage[meter] = clipped(usage[meter] ?? 0);
  }
  return { usage, growthBytes };
}

/** What a call has to settle: all it takes to do so later, or elsewhere. */
export interface Pending {
  place: Place;
  reservation: string | null;
  actual: Actual;
  /** What the same usage is known by where it cannot be settled any more. */
  event: { source: string; id: string };
}

/** Ends a hold: settles it, or, where it has expired or nothing was held, records the same usage once. */
export async function settlePending(port: MeterPort, { place, reservation, actual, event }: Pending): Promise<void> {
  if (reservation !== null && (await port.settle(reservation, actual))) return;
  // Bytes never change without a row that is written.
  if (Object.values(actual.usage).some((n) => n > 0)) await port.record([{ ...place, ...actual, ...event }]);
}
