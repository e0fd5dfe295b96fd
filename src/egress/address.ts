import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";

/** Azure's metadata server: the one such address that no registry calls special. */
const METADATA = new Set(["168.63.129.16"]);
/** What IPv6 gives to the public: all the rest of it is special, or not given out yet. */
const IPV6_PUBLIC = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * True for an address that anybody on the internet may be sent to: global unicast, and none of this machine's own. An IPv4 address inside
 * an IPv6 one is judged as what it stands for. What is no address at all is false.
 */
export function isPublicAddress(text: string): boolean {
  // A zone (`fe80::1%eth0`) names an interface of this machine.
  if (!ipaddr.isValid(text) || text.includes("%")) return false;
  const address = ipaddr.process(text);
  if (address.range() !== "unicast" || METADATA.has(address.toString())) return false;
  if (address instanceof ipaddr.IPv6 && !address.match(IPV6_PUBLIC)) return false;
  return !ownAddresses().has(address.toNormalizedString());
}

/** Read anew each time: an interface may come up while Weir runs, and asking takes some 50 µs. */
function ownAddresses(): Set<string> {
  const found = new Set<string>();
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address } of addresses ?? []) if (ipaddr.isValid(address)) found.add(ipaddr.process(address).toNormalizedString());
  }
  return found;
}
