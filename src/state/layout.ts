import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Namespace } from "./namespace.ts";

/**
 * Where things lie under the data plane's folder:
 *
 *   <sha256 of account>/<number>-<created>/index.sqlite             the namespace's objects
 *   <sha256 of account>/<number>-<created>/objects/ab/<hash>.sqlite one object; `ab` are the hash's first digits
 *   deleting/<account hash>-<number>-<created>.json                 a namespace whose deletion is not finished
 *
 * Names come from outside: `..`, 2,048 bytes, two that differ in case only. Hashes have none of these troubles on any file
 * system; the real names stand inside the databases. 256 folders keep each at 4,000 files with 10^6 objects. The
 * time of creation keeps the files of an earlier Postgres database, whose numbers also began at 1, apart.
 */
export const namespaceFolder = (root: string, namespace: Namespace): string =>
  join(root, sha256(namespace.account), `${namespace.number}-${namespace.createdAt}`);

export const indexPath = (root: string, namespace: Namespace): string => join(namespaceFolder(root, namespace), "index.sqlite");

/** The file of an object: by the hash of its name, since names may hold what a file system cannot. */
export function objectPath(root: string, namespace: Namespace, object: string): string {
  const hash = sha256(object);
  return join(namespaceFolder(root, namespace), "objects", hash.slice(0, 2), `${hash}.sqlite`);
}

export const tombstoneFolder = (root: string): string => join(root, "deleting");

export const tombstonePath = (root: string, namespace: Namespace): string =>
  join(tombstoneFolder(root), `${sha256(namespace.account)}-${namespace.number}-${namespace.createdAt}.json`);

const sha256 = (name: string): string => createHash("sha256").update(name).digest("hex");
