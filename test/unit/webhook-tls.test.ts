import { createServer, type Server } from "node:https";
import { createServer as createPlainServer, type Server as PlainServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Egress } from "../../src/egress/egress.ts";
import { post } from "../../src/egress/post.ts";

/** A certificate of hook.example.com that signs itself (until 2126), with its key: of no use anywhere but here. */
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvI/h+nMB97IE8kuc
OQJBJ+nCL6DAqppCPSZ1sjyILGWhRANCAASemqCLPZxDg8+XLN7yVDvwKIvMV2dc
pbImf4DoJNAk5QmT3QIu8WRT2b2A2yb7R1yb96sTkn6aHP27HkFQDc53
-----END PRIVATE KEY-----
`;
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBqjCCAVCgAwIBAgIUY0EexJYTDdZdT1EwZX6frsvOS9gwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQaG9vay5leGFtcGxlLmNvbTAgFw0yNjExMjExMjQ5MDBaGA8y
MTI2MTAyODEyNDkwMFowGzEZMBcGA1UEAwwQaG9vay5leGFtcGxlLmNvbTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABJ6aoIs9nEODz5cs3vJUO/Aoi8xXZ1ylsiZ/
gOgk0CTlCZPdAi7xZFPZvYDbJvtHXJv3qxOSfpoc/bseQVANznejcDBuMB0GA1Ud
DgQWBBS1eRFpSF+yQApLjLH6RPyUcSilITAfBgNVHSMEGDAWgBS1eRFpSF+yQApL
jLH6RPyUcSilITAPBgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKCEGhvb2suZXhh
bXBsZS5jb20wCgYIKoZIzj0EAwIDSAAwRQIgO3+QOYjA1eF1WI9iomNEmPyyGrjd
CanOIJGLbYCjW84CIQDNfXpb9TAVYKL8R6KDEH+hn7LUUlcvyGsJ/FQz4Za1iw==
-----END CERTIFICATE-----
`;

const BODY = Buffer.from("{}");
const DEFAULT = getCACertificates("default");

let server: Server;
let plain: PlainServer;
let asked: (string | undefined)[] = [];
beforeAll(async () => {
  server = createServer({ key: KEY, cert: CERTIFICATE }, (request, response) => {
    asked.push(request.headers.host);
    response.end("safe");
  });
  plain = createPlainServer((_request, response) => response.end("not safe"));
  await Promise.all([server, plain].map((one) => new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve))));
});
afterEach(() => {
  setDefaultCACertificates(DEFAULT);
  asked = [];
});
afterAll(() => Promise.all([server, plain].map((one) => new Promise((resolve) => one.close(resolve)))));

const portOf = (one: Server | PlainServer): number => (one.address() as AddressInfo).port;
/** Every name leads to the loopback, as a resolver of the test says. */
const egress: Egress = { allowPrivate: true, resolve: async () => [{ address: "127.0.0.1", family: 4 }] };
const send = (host: string, port = portOf(server)) => post({ url: `https://${host}:${port}/`, headers: {}, body: BODY }, egress);

test("a certificate that a trusted authority signed for the URL's name is taken, at the address that was vetted", async () => {
  setDefaultCACertificates([...DEFAULT, CERTIFICATE]);
  expect(await send("hook.example.com")).toMatchObject({ statusCode: 200, answer: "safe" });
  expect(asked).toEqual([`hook.example.com:${portOf(server)}`]);
});

test("one that nobody signed is not, and nothing is sent", async () => {
  expect(await send("hook.example.com")).toMatchObject({ statusCode: null, error: "tls_failed" });
  expect(asked).toEqual([]);
});

test("nor is one of another name", async () => {
  setDefaultCACertificates([...DEFAULT, CERTIFICATE]);
  expect(await send("other.example.com")).toMatchObject({ statusCode: null, error: "tls_failed" });
  expect(asked).toEqual([]);
});

test("the environment cannot turn the check off", async () => {
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  try {
    expect(await send("hook.example.com")).toMatchObject({ error: "tls_failed" });
  } finally {
    delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  }
});

test("a server that speaks no TLS is none for https", async () => {
  expect(await send("hook.example.com", portOf(plain))).toMatchObject({ statusCode: null, error: "tls_failed" });
});
