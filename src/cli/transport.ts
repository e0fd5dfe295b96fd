import { BlockList, isIP } from "node:net";

/** Addresses that no packet of the internet reaches. */
const PRIVATE = new BlockList();
for (const [net, prefix] of [
  ["127.0.0.0", 8],
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["169.254.0.0", 16],
] as const)
  PRIVATE.addSubnet(net, prefix, "ipv4");
for (const [net, prefix] of [
  ["::1", 128],
  ["fc00::", 7],
  ["fe80::", 10],
] as const)
  PRIVATE.addSubnet(net, prefix, "ipv6");
/** Names that only a site's own resolver knows. */
const PRIVATE_NAME = /^[^.]+$|(?:^|\.)localhost$|\.(?:internal|local|lan|home\.arpa|svc|cluster\.local)$/i;

/** Whether a key sent to `url` goes over a network that others can listen to, unencrypted. */
export function isInTheClear(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  if (protocol !== "http:") return false;
  const host = hostname.replace(/^\[|\]$/g, "");
  const version = isIP(host);
  return version === 0 ? !PRIVATE_NAME.test(host) : !PRIVATE.check(host, version === 4 ? "ipv4" : "ipv6");
}
