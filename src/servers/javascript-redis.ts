/**
 * A process of its own: the Redis server written in JavaScript, for machines without a real one.
 * Arguments: the port, and the file to write its pid to. Ends on SIGTERM.
 */
import { rmSync, writeFileSync } from "node:fs";
import { type ListenOptions, Server } from "node:net";

const [port = "", pidFile = ""] = process.argv.slice(2);

// The library listens on every interface, without a password, and has no setting for either. This process has no other
// server, so every listen is turned to 127.0.0.1.
const listen = Reflect.get(Server.prototype, "listen") as (this: Server, options: ListenOptions, done?: () => void) => Server;
Server.prototype.listen = function (this: Server, _wanted?: unknown, ...rest: unknown[]): Server {
  const done = rest.find((argument): argument is () => void => typeof argument === "function");
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, done);
};

// Loaded after the change above, and only here: it is an optional dependency.
const { createRedisServer } = await import("js-redis-server");

writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
const server = await createRedisServer({ port: Number(port) });
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    rmSync(pidFile, { force: true });
    // Connections of clients that stay would hold close() open.
    setImmediate(() => process.exit(0));
    void server.close();
  });
}
