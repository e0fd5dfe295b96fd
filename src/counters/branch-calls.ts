import type { Period } from "../kernel/window.ts";
import { randomBase62 } from "../kernel/ids.ts";
import type { RedisServers } from "../stores/redis-servers.ts";
import { branchName, SLOTS_MAX } from "./branch-names.ts";
import { decodeLoad, type LoadCause } from "./check-call.ts";
import type { KeySpace } from "./keys.ts";
import { orNone, readHeader, readMeter, type Header, type MeterCounters } from "./layout.ts";
import { buffer, runScript, script, text, type Reply, type ScriptArg } from "./script.ts";

const READ = script("branch-read");
const FILL = script("branch-fill");
const LEND = script("lend");

const NAME_LENGTH = 12;
/** How long nothing is lent after branches were drawn back, by the callers' clocks: whoever drew back comes to decide with what came. */
const PAUSE_MS = 500;

/** Accounts whose checks are spread over more than one slot → over how many. */
export type HotAccounts = ReadonlyMap<string, number>;

/** A branch as it was read. */
export interface BranchStanding {
  index: number;
  /** Null where nothing stands there, or what stands there is of another run of its server. */
  header: Header | null;
  /** Of this life of the branch. */
  name: string;
  /** How often it was drawn back. */
  drawn: number;
  meters: Map<string, MeterCounters>;
}

/** One meter at home after a settle. */
export interface HomeMeter {
  counters: MeterCounters;
  /** What the asking branch would be lent, where Postgres has to grant it first. */
  quantity: number;
  /** Held for branches. */
  lent: Record<Period, number>;
  /** The asking branch's: lent in all, and what is used elsewhere than there. */
  branch: Record<Period, { lent: number; base: number }>;
}

export interface Settled {
  /** `none`: nothing is lent; `grant`: Postgres has to grant it first. */
  status: "done" | "none" | "grant";
  header: Header;
  /** Branches that have been lent to in this epoch, by number. */
  branches: number[];
  /** Those whose state was lost, with what they had spent. */
  lost: number[];
  meters: Map<string, HomeMeter>;
}

export type SettleBranchesReply = Settled | { status: "load"; reason: LoadCause; epoch: number };

export interface BranchAsk {
  index: number;
  /** Meter → quantity needed at once. */
  needs: ReadonlyMap<string, number>;
}

/** What a settle at home is told. */
export interface SettleBranches {
  now: number;
  catalogVersion: number;
  /** Meters to be answered. */
  meters: readonly string[];
  standings: readonly BranchStanding[];
  ask?: BranchAsk;
  /** For a while lend nothing. */
  pause?: boolean;
}

/** Typed calls about hot accounts' branches (docs/decisions/0041). Each is one round trip and throws `503 unavailable` when Redis does not answer in time. */
export class BranchCalls {
  /** Those this process is told of. */
  readonly hot: HotAccounts;
  readonly #redis: RedisServers;
  readonly #keys: KeySpace;

  constructor(redis: RedisServers, keys: KeySpace, hot: HotAccounts) {
    this.hot = hot;
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Numbers of the account's branches: none where it is in one slot. */
  indexesOf(account: string): number[] {
    return Array.from({ length: (this.hot.get(account) ?? 1) - 1 }, (_, i) => i + 1);
  }

  /** Names in Redis of all that holds something of the account, its home first. */
  namesOf(account: string): string[] {
    return [account, ...this.indexesOf(account).map((index) => branchName(account, index))];
  }

  /** Reads a branch; with an `epoch` other than 0 one is founded for it where there is none; with `draw` what it has not spent is drawn back. */
  async read(account: string, index: number, epoch: number, draw = false): Promise<BranchStanding> {
    const key = this.#keys.state(branchName(account, index));
    const reply = await runScript(this.#redis, READ, [key], (runId) => [runId, epoch, randomBase62(NAME_LENGTH), draw ? 1 : 0]);
    const header = buffer(reply[0]);
    const meters = new Map<string, MeterCounters>();
    for (let i = 3; i + 1 < reply.length; i += 2) meters.set(text(reply[i]), readMeter(buffer(reply[i + 1]), false));
    return { index, header: header.length === 0 ? null : readHeader(header), name: text(reply[1]), drawn: Number(text(reply[2])), meters };
  }

  /** Tells the account's home what its branches have spent; has it lend where one asks. */
  async settle(account: string, settle: SettleBranches): Promise<SettleBranchesReply> {
    const used = [this.#keys.state(account), this.#keys.crossings(account), this.#keys.dirtyOf(account)];
    const slots = this.hot.get(account) ?? SLOTS_MAX;
    return decode(settle.meters, await runScript(this.#redis, LEND, used, (runId) => lendArgs(runId, account, slots, settle)));
  }

  /** Hands a branch what it was lent; false where it was drawn back or lost since it was read. */
  async fill(account: string, { index, name, drawn }: BranchStanding, { header, meters }: Settled): Promise<boolean> {
    const { day, month } = header;
    const head = [header.epoch, name, drawn, header.limitsVersion, header.catalogVersion, day.start, day.end, month.start, month.end];
    const args = [...meters].flatMap(([meter, { counters, branch }]) => [
      meter,
      ...(["day", "month"] as const).flatMap((period) => {
        const { plan, cap } = counters[period];
        return [orNone(plan), orNone(cap), branch[period].lent, branch[period].base];
      }),
    ]);
    const key = this.#keys.state(branchName(account, index));
    const reply: unknown = await runScript(this.#redis, FILL, [key], (runId) => [runId, ...head, orNone(header.payloadCeiling), ...args]);
    return Number(reply) === 1;
  }
}

function lendArgs(runId: string, account: string, slots: number, s: SettleBranches): ScriptArg[] {
  const { ask, standings, meters } = s;
  return [
    runId,
    s.catalogVersion,
    s.now,
    account,
    s.pause ? s.now + PAUSE_MS : "",
    ask?.index ?? "",
    slots,
    meters.length,
    ...meters.flatMap((meter) => [meter, ask?.needs.get(meter) ?? 0]),
    ...standings.flatMap(standingArgs),
  ];
}

const standingArgs = ({ index, header, name, drawn, meters }: BranchStanding): ScriptArg[] => [
  index,
  header?.epoch ?? 0,
  name,
  drawn,
  header?.day.start ?? 0,
  header?.month.start ?? 0,
  meters.size,
  ...[...meters].flatMap(([meter, { day, month }]) => [meter, day.granted, day.spent, month.granted, month.spent]),
];

const STATUS: Record<number, Settled["status"]> = { 1: "done", 0: "none", [-3]: "grant" };

/** Numbers of each meter in the answer of lend.lua. */
const FIELDS = 8;

function decode(names: readonly string[], reply: Reply[]): SettleBranchesReply {
  const code = Number(reply[0]);
  if (code === -1) return decodeLoad(reply);
  const status = STATUS[code];
  if (status === undefined) throw new Error(`lend.lua answered status ${code}`);
  const meters = new Map<string, HomeMeter>();
  names.forEach((name, i) => {
    const at = (field: number): number => Number(text(reply[4 + i * FIELDS + field]));
    meters.set(name, {
      counters: readMeter(buffer(reply[4 + i * FIELDS]), false),
      quantity: at(1),
      lent: { day: at(2), month: at(3) },
      branch: { day: { lent: at(4), base: at(5) }, month: { lent: at(6), base: at(7) } },
    });
  });
  return { status, header: readHeader(buffer(reply[1])), branches: numbers(reply[2]), lost: numbers(reply[3]), meters };
}

const numbers = (list: Reply | undefined): number[] => text(list).split(",").filter(Boolean).map(Number);
