import { connect } from "node:net";

const ANSWER_TIME_LIMIT_MS = 1_000;

/**
 * Asks the server on `port` whether it takes commands now. While it loads its append-only file it answers -LOADING.
 * Written on a bare socket: clients of Redis belong to other folders, and this is two words each way.
 */
export function answersPing(port: number, password: string | null): Promise<boolean> {
  return new Promise((resolve) => {
    let received = "";
    const socket = connect(port, "127.0.0.1");
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_TIME_LIMIT_MS, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("close", () => finish(false));
    socket.on("connect", () => socket.write(`${password === null ? "" : `AUTH ${password}\r\n`}PING\r\n`));
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (received.includes("+PONG\r\n")) finish(true);
      else if (/^-/m.test(received)) finish(false);
    });
  });
}
