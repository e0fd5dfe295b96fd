import { monotonicMs } from "../../kernel/clock.ts";
import { WeirError } from "../../kernel/errors.ts";
import type { Address, StateContext } from "../context.ts";
import { naming } from "../put-value.ts";
import { isDenial } from "../wall-time.ts";

/** What a room needs of a WebSocket. */
export interface Socket {
  /** Sends one message; never waits. */
  send(data: Uint8Array, binary: boolean): void;
  /** Bytes sent and not taken by the network yet. */
  readonly pendingBytes: number;
  /** Bytes that have come of a message that is not whole yet. */
  readonly unfinishedBytes: number;
  /** Asks for a sign of life; ends the connection when the last one was not given, or when it may not go on. */
  beat(): void;
  /** Takes no more messages from the network until `resume`. */
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
}

/** Close codes of RFC 6455 and what they say here; the reason is an error code of the catalogue. */
export const CLOSE = { goingAway: 1001, denied: 1008, tooBig: 1009, tryLater: 1013 } as const;

/** A socket that is this far behind is closed: the largest message twice. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Messages of a room that wait to be counted: a socket is paused while its own wait, so these are what one read of each brought along. */
const QUEUE_MAX = 100_000;

interface Message {
  from: Socket;
  data: Uint8Array;
  binary: boolean;
}

/**
 * The sockets of one object. Its messages are taken one at a time, counted, and then sent to every socket, the sender's too: all see
 * the same messages in the same order, and an echo says that one was counted.
 */
export class Room {
  readonly sockets = new Set<Socket>();
  /** When a message came last, by the monotonic clock. */
  heardMs = monotonicMs();
  readonly #context: StateContext;
  readonly #address: Address;
  readonly #queue: Message[] = [];
  /** How many of a socket's messages wait. */
  readonly #waiting = new Map<Socket, number>();
  /** Closed by us: what they sent before they heard of it is not taken. */
  readonly #refused = new WeakSet<Socket>();
  #drained: Promise<void> | null = null;
  /** Messages the object has taken in its life: 20 are one request, whoever sends them and whenever. */
  #taken: number;

  constructor(context: StateContext, address: Address, taken: number) {
    this.#context = context;
    this.#address = address;
    this.#taken = taken;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Resolves when all that was taken is counted. */
  async quiet(): Promise<void> {
    while (this.#drained) await this.#drained;
  }

  /** Takes a message that came over `from`. */
  take(from: Socket, data: Uint8Array, binary: boolean): void {
    if (this.#refused.has(from)) return;
    if (this.#queue.length >= QUEUE_MAX) return this.closeOne(from, CLOSE.tryLater, "unavailable");
    this.heardMs = monotonicMs();
    this.#queue.push({ from, data, binary });
    this.#waiting.set(from, (this.#waiting.get(from) ?? 0) + 1);
    from.pause();
    this.#drained ??= this.#drain().finally(() => (this.#drained = null));
  }

  closeOne(socket: Socket, code: number, reason: string): void {
    this.sockets.delete(socket);
    this.#refused.add(socket);
    socket.close(code, reason);
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.sockets) this.closeOne(socket, code, reason);
  }

  async #drain(): Promise<void> {
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const { from } = next;
      const left = (this.#waiting.get(from) ?? 1) - 1;
      if (left > 0) this.#waiting.set(from, left);
      else this.#waiting.delete(from);
      // A socket that left by itself has sent what it has sent.
      if (this.#refused.has(from)) continue;
      if (await this.#count(from)) this.#broadcast(next);
      if (left === 0) from.resume();
    }
  }

  /** Counts one message; false when it may not be taken, and its sender is closed. */
  async #count(from: Socket): Promise<boolean> {
    const usage = this.#context.usageOf("websocket-message", { messages: 1, messagesBefore: this.#taken });
    try {
      if (Object.keys(usage).length > 0) {
        await this.#context.admit({ ...naming(this.#address, "websocket-message"), usage }, this.#context.clock.now());
      }
      this.#taken += 1;
      return true;
    } catch (error) {
      if (isDenial(error)) this.closeOne(from, CLOSE.denied, error.code);
      else this.closeOne(from, CLOSE.tryLater, error instanceof WeirError ? error.code : "internal_error");
      if (!(error instanceof WeirError)) this.#context.onTrouble(error);
      return false;
    }
  }

  #broadcast({ data, binary }: Message): void {
    for (const socket of this.sockets) {
      socket.send(data, binary);
      if (socket.pendingBytes > PENDING_BYTES_MAX) this.closeOne(socket, CLOSE.tryLater, "unavailable");
    }
  }
}
