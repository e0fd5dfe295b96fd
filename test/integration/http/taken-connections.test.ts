import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { drained } from "../../../src/cli/drained.ts";

it("a connection that the kernel has taken when the server begins to stop is answered, and then the port is closed", async () => {
  const server = createServer((_request, response) => response.end("heard"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: 20 }, () => connect(port, "127.0.0.1"));
  for (const client of clients) client.write("GET / HTTP/1.1\r\nHost: weir\r\n\r\n");
  // They connect on the next tick, and the server takes them on the next turn of the loop: between the two it begins to stop.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const [answers] = await Promise.all([Promise.all(clients.map((client) => text(client))), drained(server, 2_000)]);
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 200 OK[^]*connection: close[^]*heard$/i);
  const late = connect(port, "127.0.0.1");
  await expect(new Promise((resolve, reject) => late.once("connect", resolve).once("error", reject))).rejects.toMatchObject({
    code: "ECONNREFUSED",
  });
});
