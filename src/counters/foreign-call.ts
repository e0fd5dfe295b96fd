import type { RedisServers } from "../stores/redis-servers.ts";
import type { KeySpace } from "./keys.ts";
import { runScript, script, type ScriptArg } from "./script.ts";
import { groupsBySlot } from "./slot-groups.ts";

const FOREIGN = script("foreign");
const HEADROOM = script("headroom");

/** Accounts in one call: at about 10 µs each the server does nothing else for 0.3 ms. */
const BATCH_MAX = 32;

/** What was booked of an account past Redis, and the foreign_seq it stands at with it. */
export interface ForeignAddition {
  account: string;
  foreignSeq: number;
  /** None where nothing was booked now: then it is only asked whether Redis knows what was booked before. */
  lines: readonly { bucket: number; meter: string; quantity: number }[];
}

/** What Redis knows of an addition: `behind` where sums booked before it are missing, which only Postgres can tell. */
export type ForeignStanding = "told" | "absent" | "behind";

/** Which of an account's counters are about to be added to, and the month they are to stand in. */
export interface Glance {
  account: string;
  monthStart: number;
  meters: readonly string[];
}

/** Calls about what is counted past Redis, for many accounts in one trip. They throw `503 unavailable`. */
export interface ForeignCalls {
  /** Adds to the sums of accounts that know all that was booked before. Answers in the order of `additions`. */
  add(additions: readonly ForeignAddition[]): Promise<ForeignStanding[]>;
  /** Whether all counters of each glance stand in that month, and nowhere above `far`. Answers in the order of `glances`. */
  isRoomy(glances: readonly Glance[], far: number): Promise<boolean[]>;
}

/** The calls of foreign.lua and headroom.lua: one trip for the accounts of a slot. */
export function createForeignCalls(redis: RedisServers, keys: KeySpace): ForeignCalls {
  const slotOf = ({ account }: { account: string }): number => redis.slotOf(keys.state(account));
  return {
    add: async (additions) => {
      const standings: ForeignStanding[] = [];
      const send = async (places: readonly number[]): Promise<void> => {
        const batch = places.flatMap((place) => additions[place] ?? []);
        const ofBatch = batch.flatMap(({ account }) => [keys.state(account), keys.crossings(account), keys.dirtyOf(account)]);
        const reply = await runScript(redis, FOREIGN, ofBatch, (runId) => [runId, ...batch.flatMap(additionArgs)]);
        places.forEach((place, i) => (standings[place] = STANDINGS.get(Number(reply[i])) ?? "behind"));
      };
      await Promise.all(groupsBySlot(additions, slotOf, BATCH_MAX).map(send));
      return standings;
    },
    isRoomy: async (glances, far) => {
      const roomy: boolean[] = [];
      const send = async (places: readonly number[]): Promise<void> => {
        const batch = places.flatMap((place) => glances[place] ?? []);
        const ofBatch = batch.map(({ account }) => keys.state(account));
        const reply = await runScript(redis, HEADROOM, ofBatch, (runId) => [runId, far, ...batch.flatMap(glanceArgs)]);
        places.forEach((place, i) => (roomy[place] = Number(reply[i]) === 1));
      };
      await Promise.all(groupsBySlot(glances, slotOf, BATCH_MAX).map(send));
      return roomy;
    },
  };
}

const STANDINGS: ReadonlyMap<number, ForeignStanding> = new Map([
  [1, "told"],
  [0, "absent"],
  [-1, "behind"],
]);

const additionArgs = ({ account, foreignSeq, lines }: ForeignAddition): ScriptArg[] => [
  account,
  foreignSeq,
  lines.length,
  ...lines.flatMap(({ bucket, meter, quantity }) => [bucket, meter, quantity]),
];

const glanceArgs = ({ monthStart, meters }: Glance): ScriptArg[] => [monthStart, meters.length, ...meters];
