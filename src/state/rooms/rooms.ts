import { monotonicMs } from "../../kernel/clock.ts";
import type { WeirError } from "../../kernel/errors.ts";
import type { Awake, Stay } from "../awake.ts";
import type { Address, CeilingOf, StateContext } from "../context.ts";
import { objectPath } from "../layout.ts";
import type { Namespace } from "../namespace.ts";
import { messagesTaken, noteMessages } from "../object-index.ts";
import { naming } from "../put-value.ts";
import { busy } from "../waiting-line.ts";
import { isDenial } from "../wall-time.ts";
import { CLOSE, Room, type Socket } from "./room.ts";

/** Sockets of one object, of one account, and of this process. */
const OBJECT_SOCKETS_MAX = 1_000;
const ACCOUNT_SOCKETS_MAX = 2_000;
const SOCKETS_MAX = 8_000;
/** Bytes of messages that are not whole yet, all sockets together: beyond, whoever holds most is closed. */
const UNFINISHED_BYTES_MAX = 256 * 1024 * 1024;
/** How often a socket must show that it lives. */
const BEAT_MS = 30_000;
/** A room in which nothing was said for this long is closed. */
const IDLE_MS = 3_600_000;
const IDLE_CLOSE_CODE = 1000;

/** One socket's place in its room. */
export interface Membership {
  /** A message came, whole. */
  take(data: Uint8Array, binary: boolean): void;
  /** The connection has ended. */
  leave(): void;
}

interface Entry {
  room: Room;
  address: Address;
  stay: Stay;
  messageBytesMax: number;
}

/** The rooms of all objects: a room opens with its object's first socket and closes with its last. */
export class Rooms {
  readonly #context: StateContext;
  readonly #awake: Awake;
  readonly #ceilingOf: CeilingOf;
  readonly #rooms = new Map<string, Entry>();
  /** By room: openings and closings happen one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #perAccount = new Map<string, number>();
  #sockets = 0;
  #beatMs = monotonicMs();
  #closed = false;

  constructor(context: StateContext, awake: Awake, ceilingOf: CeilingOf) {
    this.#context = context;
    this.#awake = awake;
    this.#ceilingOf = ceilingOf;
  }

  /** Lets a socket into its object's room: one request. Throws the denial, and `unavailable` where there is no room for one more. */
  async join(address: Address, socket: Socket): Promise<Membership> {
    const { account } = address.namespace;
    this.#admit(account);
    try {
      const key = objectPath(this.#context.files.root, address.namespace, address.object);
      await this.#inTurn(key, () => this.#enter(key, address, socket));
      return this.#membership(key, address, socket);
    } catch (error) {
      this.#forget(account);
      throw error;
    }
  }

  /** Asks for signs of life, and closes who holds too much or says nothing. Call it a few times a second. */
  tick(): void {
    const now = monotonicMs();
    const beating = now - this.#beatMs >= BEAT_MS;
    if (beating) this.#beatMs = now;
    let unfinished = 0;
    let largest: { room: Room; socket: Socket } | null = null;
    for (const { room } of this.#rooms.values()) {
      if (now - room.heardMs > IDLE_MS) room.closeAll(IDLE_CLOSE_CODE, "idle");
      for (const socket of room.sockets) {
        if (beating) socket.beat();
        unfinished += socket.unfinishedBytes;
        if (socket.unfinishedBytes > (largest?.socket.unfinishedBytes ?? 0)) largest = { room, socket };
      }
    }
    if (unfinished > UNFINISHED_BYTES_MAX && largest) largest.room.closeOne(largest.socket, CLOSE.tryLater, "unavailable");
  }

  /** Closes the rooms of a namespace that is gone. */
  end(namespace: Namespace): void {
    for (const { room, address } of this.#rooms.values()) {
      const gone = address.namespace.account === namespace.account && address.namespace.number === namespace.number;
      if (gone) room.closeAll(CLOSE.goingAway, "not_found");
    }
  }

  /** Closes every room; resolves when what was taken is counted. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#turns.values());
    for (const { room } of this.#rooms.values()) room.closeAll(CLOSE.goingAway, "unavailable");
    await Promise.all([...this.#rooms].map(([key, entry]) => this.#inTurn(key, () => this.#endIfEmpty(key, entry))));
  }

  #admit(account: string): void {
    const own = this.#perAccount.get(account) ?? 0;
    if (this.#closed || this.#sockets >= SOCKETS_MAX || own >= ACCOUNT_SOCKETS_MAX) throw busy("There are as many sockets open as may be");
    this.#sockets += 1;
    this.#perAccount.set(account, own + 1);
  }

  #forget(account: string): void {
    const left = (this.#perAccount.get(account) ?? 1) - 1;
    this.#sockets -= 1;
    if (left > 0) this.#perAccount.set(account, left);
    else this.#perAccount.delete(account);
  }

  async #enter(key: string, address: Address, socket: Socket): Promise<void> {
    const open = this.#rooms.get(key);
    if (open && open.room.sockets.size >= OBJECT_SOCKETS_MAX) throw busy("The object has as many sockets open as it may have");
    const entry = open ?? (await this.#open(key, address));
    try {
      const usage = this.#context.usageOf("websocket-open");
      await this.#context.admit({ ...naming(address, "websocket-open"), usage }, this.#context.clock.now());
      entry.room.sockets.add(socket);
    } catch (error) {
      await this.#endIfEmpty(key, entry);
      throw error;
    }
  }

  async #open(key: string, address: Address): Promise<Entry> {
    const { namespace, object } = address;
    const messageBytesMax = (await this.#ceilingOf(namespace.account, "stateWebsocketMessageBytes")) ?? Infinity;
    const taken = await this.#context.files.index(namespace, 0, (index) => messagesTaken(index, object));
    const room = new Room(this.#context, address, taken);
    const stay = await this.#awake.enter(address, (reason) => closeFor(room, reason));
    const entry = { room, address, stay, messageBytesMax };
    this.#rooms.set(key, entry);
    return entry;
  }

  #membership(key: string, address: Address, socket: Socket): Membership {
    const entry = this.#rooms.get(key);
    let gone = false;
    return {
      take: (data, binary) => {
        if (!entry) return;
        if (data.byteLength > entry.messageBytesMax) entry.room.closeOne(socket, CLOSE.tooBig, "payload_too_large");
        else entry.room.take(socket, data, binary);
      },
      leave: () => {
        if (gone) return;
        gone = true;
        this.#forget(address.namespace.account);
        entry?.room.sockets.delete(socket);
        if (entry) void this.#inTurn(key, () => this.#endIfEmpty(key, entry)).catch(this.#context.onTrouble);
      },
    };
  }

  /** Closes a room without sockets: counts what was said and how long, and remembers how far the messages have come. */
  async #endIfEmpty(key: string, entry: Entry): Promise<void> {
    const { room, address, stay } = entry;
    if (room.sockets.size > 0) return;
    await room.quiet();
    if (room.sockets.size > 0 || this.#rooms.get(key) !== entry) return;
    this.#rooms.delete(key);
    await stay.leave();
    if (this.#context.files.barred(address.namespace)) return;
    await this.#context.files
      .noteInIndex(address.namespace, (index) => noteMessages(index, address.object, room.taken))
      .catch(this.#context.onTrouble);
  }

  /** Runs `change` after the room's earlier ones. */
  async #inTurn<T>(key: string, change: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve();
    const run = before.catch(() => undefined).then(change);
    this.#turns.set(key, run);
    try {
      return await run;
    } finally {
      if (this.#turns.get(key) === run) this.#turns.delete(key);
    }
  }
}

function closeFor(room: Room, reason: WeirError): void {
  room.closeAll(isDenial(reason) ? CLOSE.denied : CLOSE.tryLater, reason.code);
}
