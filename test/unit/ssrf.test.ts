import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isPublicAddress } from "../../src/egress/address.ts";
import { parseEndpoint, RefusedDestination, type Address, type Egress } from "../../src/egress/egress.ts";
import { post } from "../../src/egress/post.ts";
import { checkNewUrl } from "../../src/notifications/webhook.ts";

const resolvesTo =
  (...addresses: string[]) =>
  async (): Promise<Address[]> =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
const guarded = (resolve: Egress["resolve"] = resolvesTo("93.184.216.34")): Egress => ({ allowPrivate: false, resolve });

let inner: Server;
let port = 0;
beforeAll(async () => {
  inner = createServer((_request, response) => response.end("inner"));
  await new Promise<void>((resolve) => inner.listen(0, "::", resolve));
  port = (inner.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => inner.close(resolve)));

describe("addresses", () => {
  const inside = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.170",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "100::1",
    "4000::1",
    "not an address",
    "",
  ];
  test.each(inside)("%s is not public", (address) => expect(isPublicAddress(address)).toBe(false));
  test.each(["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])("%s is public", (address) =>
    expect(isPublicAddress(address)).toBe(true),
  );
  test("none of this machine's own is public", () => {
    const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
    expect(own.length).toBeGreaterThan(0);
    expect(own.filter(isPublicAddress)).toEqual([]);
  });
});

const HOSTS = [
  "127.0.0.1",
  "2130706433",
  "0x7f.1",
  "0x7f000001",
  "0177.0.0.1",
  "127.1",
  "0",
  "[::1]",
  "[::]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "①②⑦.0.0.1",
  "127。0。0。1",
  "169.254.169.254",
  "localhost",
  "localhost.",
  "a.localhost",
  "metadata.google.internal",
  "printer.local",
];

describe("an endpoint's URL", () => {
  test.each(HOSTS)("https://%s is refused when it is registered, and nothing is sent to it", async (host) => {
    await expect(checkNewUrl(`https://${host}:8443/hook`, guarded())).rejects.toMatchObject({ code: "validation_failed" });
    const ended = await post({ url: `https://${host}:8443/hook`, headers: {}, body: Buffer.from("{}") }, guarded());
    expect(ended).toMatchObject({ error: "address_refused", statusCode: null });
  });

  const REFUSED: [url: string, why: RegExp][] = [
    ["http://example.com/", /https/],
    ["ftp://example.com/", /https/],
    ["file:///etc/passwd", /https/],
    ["https://user:password@example.com/", /user name/],
    ["https://example.com/#part", /fragment/],
    ["https://example.com:6379/", /443/],
    ["not a url", /URL/],
    [`https://example.com/${"a".repeat(2_048)}`, /2048/],
  ];
  test.each(REFUSED)("%s is refused, and it is said why", async (url, why) => {
    expect(() => parseEndpoint(url, guarded())).toThrow(RefusedDestination);
    await expect(checkNewUrl(url, guarded())).rejects.toThrow(why);
  });

  test("a public one is taken", async () => {
    expect(await checkNewUrl("https://example.com/hook?a=1", guarded())).toBe("https://example.com/hook?a=1");
    expect(await checkNewUrl("https://example.com:8443/hook", guarded())).toBe("https://example.com:8443/hook");
  });

  test("one whose name cannot be looked up now is taken: each delivery looks again", async () => {
    const away = guarded(() => Promise.reject(new Error("ENOTFOUND")));
    expect(await checkNewUrl("https://example.com/", away)).toBe("https://example.com/");
    expect(await post({ url: "https://example.com/", headers: {}, body: Buffer.from("{}") }, away)).toMatchObject({ error: "dns_failed" });
  });
});

describe("a name that leads inside", () => {
  const request = { url: "https://rebound.example.com:8443/", headers: {}, body: Buffer.from("{}") };

  test.each(["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "64:ff9b::a00:1"])(
    "to %s is refused, also beside a public address",
    async (address) => {
      await expect(checkNewUrl(request.url, guarded(resolvesTo(address)))).rejects.toMatchObject({ code: "validation_failed" });
      expect(await post(request, guarded(resolvesTo(address)))).toMatchObject({ error: "address_refused" });
      expect(await post(request, guarded(resolvesTo("93.184.216.34", address)))).toMatchObject({ error: "address_refused" });
    },
  );

  test("after it was vetted is not looked up again: one lookup, one vetted address, one connection", async () => {
    let asked = 0;
    // TEST-NET would be refused, so the first answer is this machine's loopback, with private addresses allowed; a second
    // lookup would lead to a port nobody listens on.
    const resolve = async (): Promise<Address[]> =>
      asked++ === 0 ? [{ address: "127.0.0.1", family: 4 }] : [{ address: "127.0.0.2", family: 4 }];
    const ended = await post({ ...request, url: `http://rebound.example.com:${port}/` }, { allowPrivate: true, resolve });
    expect(ended).toMatchObject({ statusCode: 200, answer: "inner" });
    expect(asked).toBe(1);
  });

  test("only after it was registered is refused when it is delivered", async () => {
    let asked = 0;
    const egress = guarded(async () => await (asked++ === 0 ? resolvesTo("93.184.216.34") : resolvesTo("127.0.0.1"))());
    expect(await checkNewUrl(request.url, egress)).toBe("https://rebound.example.com:8443/");
    expect(await post(request, egress)).toMatchObject({ error: "address_refused" });
  });
});

test("with private addresses allowed the same server is reached, so the refusals above were not a dead server's", async () => {
  for (const host of ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "0", "[::ffff:127.0.0.1]", "①②⑦.0.0.1"]) {
    const ended = await post(
      { url: `http://${host}:${port}/`, headers: {}, body: Buffer.from("{}") },
      { allowPrivate: true, resolve: resolvesTo() },
    );
    expect({ host, status: ended.statusCode }).toEqual({ host, status: 200 });
  }
});
