import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { isPublicAddress } from "./address.ts";

export const URL_LENGTH_MAX = 2_048;
/** Ports of web servers that the public talks to; any other is somebody's inner service. */
const PUBLIC_PORTS = new Set(["", "443", "8443"]);
const DNS_TIMEOUT_MS = 2_000;
const DNS_TRIES = 2;
/** More addresses than these of one name are not tried. */
const ADDRESSES_MAX = 16;

export interface Address {
  address: string;
  family: 4 | 6;
}

/** All addresses of a host name. */
export type Resolve = (host: string) => Promise<Address[]>;

/** Where messages may go. */
export interface Egress {
  /** Also private and loopback addresses, any port, and plain http: for tests and inner networks. */
  allowPrivate: boolean;
  resolve: Resolve;
}

/** A destination that is never connected to; `message` says why, to the account's people. */
export class RefusedDestination extends Error {}

/** The URL of an endpoint, or RefusedDestination. WHATWG parsing turns 2130706433, 0x7f.1, 127.1 and ①②⑦.0.0.1 into addresses. */
export function parseEndpoint(text: string, { allowPrivate }: Egress): URL {
  if (text.length > URL_LENGTH_MAX) throw new RefusedDestination(`must have at most ${URL_LENGTH_MAX} characters`);
  if (!URL.canParse(text)) throw new RefusedDestination("must be a URL such as https://example.com/hook");
  const url = new URL(text);
  const secure = url.protocol === "https:";
  if (!secure && !(allowPrivate && url.protocol === "http:")) throw new RefusedDestination("must be an https URL");
  if (url.username !== "" || url.password !== "") throw new RefusedDestination("must not hold a user name or password");
  if (url.hash !== "") throw new RefusedDestination("must not hold a fragment (#…)");
  if (!allowPrivate && !PUBLIC_PORTS.has(url.port)) throw new RefusedDestination("must use port 443 or 8443");
  const host = hostOf(url);
  if (!allowPrivate && (isIP(host) === 0 ? isInnerName(host) : !isPublicAddress(host))) throw refused();
  return url;
}

/**
 * The addresses an endpoint may be connected at. Refused when *any* of them is not public: a name with one good and one inner address
 * is an attack, or about to become one. Throws what the resolver throws when there is none.
 */
export async function vettedAddresses(url: URL, { allowPrivate, resolve }: Egress): Promise<Address[]> {
  const host = hostOf(url);
  const family = isIP(host);
  if (family !== 0) return [{ address: host, family: family === 6 ? 6 : 4 }];
  const addresses = await resolve(host);
  if (!allowPrivate && !addresses.every(({ address }) => isPublicAddress(address))) throw refused();
  return addresses.slice(0, ADDRESSES_MAX);
}

/** The host without the brackets of IPv6. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1");

const isInnerName = (host: string): boolean => /(?:^|\.)(?:localhost|local|internal)\.?$/.test(host);

const refused = (): RefusedDestination =>
  new RefusedDestination("leads to a private, loopback, link-local or otherwise inner address (see WEIR_WEBHOOK_ALLOW_PRIVATE)");

/**
 * Asks the name servers themselves. Not the system's lookup: it takes a thread of four for as long as a name server is silent, so
 * four endpoints with a dead one would stop every other. Inner networks have names that only the system's lookup knows.
 */
export function systemResolve(allowPrivate: boolean): Resolve {
  if (allowPrivate)
    return async (host) => (await lookup(host, { all: true })).map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  return async (host) => {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found: Address[] = [
      ...(four.status === "fulfilled" ? four.value.map((address) => ({ address, family: 4 as const })) : []),
      ...(six.status === "fulfilled" ? six.value.map((address) => ({ address, family: 6 as const })) : []),
    ];
    if (found.length === 0 && four.status === "rejected") throw four.reason;
    return found;
  };
}
