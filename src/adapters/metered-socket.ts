import { overlay } from "./overlay.ts";

const MESSAGES_A_REQUEST = 20;
/** The WebSocket close code for a peer that breaks a policy. */
const POLICY_VIOLATION = 1008;

type Listener = (event: unknown) => unknown;

/** What is used of a raw WebSocket. */
export interface Socket {
  onmessage: unknown;
  addEventListener(type: string, listener: Listener, options?: unknown): void;
  removeEventListener(type: string, listener: Listener, options?: unknown): void;
  close(code: number, reason: string): void;
}

/**
 * `socket` whose incoming messages are counted: every 20 are a request, `afford`ed with the first of them, before it is handed on. Refused, that
 * message and those after it are handed to nobody, and the socket is closed.
 */
export function meteredSocket<S extends Socket>(socket: S, afford: () => Promise<boolean>): S {
  let messages = 0;
  let gate: Promise<boolean> = Promise.resolve(true);
  const ask = async (): Promise<boolean> => {
    const allowed = await afford().catch(() => null);
    if (allowed !== true) socket.close(POLICY_VIOLATION, allowed === null ? "unavailable" : "limit_exceeded");
    return allowed === true;
  };
  // The first listener, so that the gate is set for a message before anybody else hears of it.
  socket.addEventListener("message", () => {
    if (messages++ % MESSAGES_A_REQUEST === 0) gate = gate.then((open) => open && ask());
  });
  const gated = new WeakMap<Listener, Listener>();
  const behindGate = (listener: Listener): Listener => {
    const made = gated.get(listener) ?? ((event) => void gate.then((open) => (open ? listener(event) : undefined)));
    gated.set(listener, made);
    return made;
  };
  const gatedFor = (type: string, listener: Listener): Listener => (type === "message" ? behindGate(listener) : listener);
  return overlay(socket, {
    addEventListener: (type: string, listener: Listener, options?: unknown) =>
      socket.addEventListener(type, gatedFor(type, listener), options),
    removeEventListener: (type: string, listener: Listener, options?: unknown) =>
      socket.removeEventListener(type, gatedFor(type, listener), options),
    get onmessage() {
      return socket.onmessage;
    },
    set onmessage(listener: unknown) {
      socket.onmessage = typeof listener === "function" ? behindGate(listener as Listener) : listener;
    },
  });
}
