import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** What PgBouncer takes of a startup packet; anything else it refuses. */
const PASSED_ON = new Set([
  "user",
  "database",
  "client_encoding",
  "application_name",
  "timezone",
  "datestyle",
  "standard_conforming_strings",
]);
const READY = "Z".charCodeAt(0);
const TERMINATE = "X".charCodeAt(0);
const PASSWORD = "p".charCodeAt(0);
/** What is answered by READY: a sync, and a simple query. */
const ENDS = new Set(["S".charCodeAt(0), "Q".charCodeAt(0)]);
const IDLE = "I".charCodeAt(0);

interface Backend {
  socket: Socket;
  client: Client | null;
}
interface Client {
  socket: Socket;
  backend: Backend | null;
  /** Sent and not passed on: it waits for a backend. */
  waiting: Buffer[];
  /** Ends of transactions that are not answered, and whether something was sent since the last. */
  unanswered: number;
  isInside: boolean;
}

/**
 * A pooler in transaction mode that makes the worst of it: each transaction goes to the connection that was used the longest ago, whoever
 * opened it. Whatever a session was told is lost or somebody else's the next time. Each client brings one connection, and logs it in.
 */
export class ShufflingPooler {
  /** Of the same database, through the pooler. */
  readonly url: string;
  /** Transactions that ran on a connection which another client had used last. */
  shuffled = 0;
  readonly #server: Server;
  readonly #target: URL;
  readonly #idle: { backend: Backend; last: Client }[] = [];
  readonly #line: Client[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(target: URL, server: Server) {
    this.#target = target;
    this.#server = server;
    this.url = Object.assign(new URL(target), { host: `127.0.0.1:${(server.address() as AddressInfo).port}` }).href;
    server.on("connection", (socket) => this.#meet(socket));
  }

  static async start(databaseUrl: string): Promise<ShufflingPooler> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ShufflingPooler(new URL(databaseUrl), server);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #meet(socket: Socket): void {
    this.#keep(socket);
    const client: Client = { socket, backend: null, waiting: [], unanswered: 1, isInside: false };
    socket.once("data", (startup: Buffer) => {
      const refused = parameters(startup).find((name) => !PASSED_ON.has(name.toLowerCase()));
      if (refused !== undefined) return void socket.end(fatal(`unsupported startup parameter: ${refused}`));
      const backend: Backend = { socket: connect(Number(this.#target.port), this.#target.hostname), client };
      this.#keep(backend.socket);
      client.backend = backend;
      onMessages(backend.socket, (type, message) => this.#answer(backend, type, message));
      backend.socket.write(startup);
      onMessages(socket, (type, message) => {
        if (type === TERMINATE) return void socket.end();
        client.isInside = type !== PASSWORD && !ENDS.has(type);
        if (ENDS.has(type)) client.unanswered += 1;
        if (client.backend) return void client.backend.socket.write(message);
        client.waiting.push(message);
        if (client.waiting.length === 1) this.#line.push(client);
        this.#serve();
      });
    });
  }

  #answer(backend: Backend, type: number, message: Buffer): void {
    const { client } = backend;
    client?.socket.write(message);
    if (!client || type !== READY) return;
    client.unanswered -= 1;
    if (message[5] !== IDLE || client.unanswered > 0 || client.isInside) return;
    client.backend = null;
    backend.client = null;
    this.#idle.push({ backend, last: client });
    this.#serve();
  }

  #serve(): void {
    while (this.#line.length > 0 && this.#idle.length > 0) {
      const [client, free] = [this.#line.shift(), this.#idle.shift()];
      if (!client || !free) return;
      if (free.last !== client) this.shuffled += 1;
      client.backend = free.backend;
      free.backend.client = client;
      for (const message of client.waiting.splice(0)) free.backend.socket.write(message);
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket.setNoDelay());
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }
}

/** The names in a startup packet: length, version, then names and values, each ended by a zero. */
function parameters(startup: Buffer): string[] {
  const words = startup.subarray(8).toString("latin1").split("\0");
  return words.filter((word, i) => i % 2 === 0 && word !== "");
}

function fatal(text: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${text}\0\0`, "latin1");
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

/** Calls for each whole message: a letter, its length with itself, and so many bytes. */
function onMessages(socket: Socket, each: (type: number, message: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = rest.readUInt32BE(1) + 1;
      const message = rest.subarray(0, end);
      rest = rest.subarray(end);
      each(message[0] ?? 0, message);
    }
  });
}
