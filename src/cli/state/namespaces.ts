import { path } from "../api.ts";
import { show, type Context, type Args } from "../context.ts";
import { EXIT } from "../exit.ts";
import { moreLines, pageQuery, type Page, type PageOptions } from "../paging.ts";
import { bytes } from "../terminal/figures.ts";
import { table } from "../terminal/table.ts";

export interface ServiceOptions {
  service: string;
}

export interface CreateOptions extends ServiceOptions {
  workerUrl?: string;
}

export interface RotateOptions extends ServiceOptions {
  previousSecretSeconds?: number;
}

interface Namespace {
  id: string;
  name: string;
  service: string;
  createdAt: string;
  storageBytes: number;
}

interface WithSecret extends Namespace {
  secret: string;
  previousSecretUntil?: string;
}

interface StoredObject {
  objectKey: string;
  storageBytes: number;
  lastSeenAt?: string | null;
}

interface Entry {
  key: string;
  valueSizeBytes: number;
  updatedAt?: string | null;
}

type Ok = typeof EXIT.ok;
type Listing = ServiceOptions & PageOptions;

const right = "right" as const;

/** The path of a namespace's routes, or of all of a service's namespaces. */
export const namespacesPath = (service: string): string => path`/v1/services/${service}/state/namespaces`;
export const namespacePath = (service: string, namespace: string): string => `${namespacesPath(service)}${path`/${namespace}`}`;

export async function listNamespaces(context: Context, _args: Args, options: Listing): Promise<Ok> {
  const body = await context.api.call<{ namespaces: Namespace[] } & Page>("GET", namespacesPath(options.service), {
    query: pageQuery(options),
  });
  show(context, body, ({ namespaces }) => {
    if (namespaces.length === 0) return [`No namespaces. Create one: weir state create --service ${options.service} Room`];
    const columns = [{ title: "NAMESPACE" }, { title: "ID" }, { title: "STORED", align: right }, { title: "CREATED" }];
    return [
      ...table(
        columns,
        namespaces.map((n) => [n.name, n.id, bytes(n.storageBytes), n.createdAt]),
        context.out.style,
      ),
      ...moreLines(body),
    ];
  });
  return EXIT.ok;
}

/** Makes a namespace, then sets its service's worker where one is named: a refused namespace leaves the worker as it was. */
export async function createNamespace(context: Context, [name = ""]: Args, { service, workerUrl }: CreateOptions): Promise<Ok> {
  const body = await context.api.call<WithSecret>("POST", namespacesPath(service), { body: { name } });
  if (workerUrl !== undefined) await context.api.call("PUT", path`/v1/services/${service}`, { body: { workerUrl } });
  show(context, body, (made) => [
    `Created ${made.name} (${made.id}) in ${made.service}.`,
    `Its alarms are signed with ${made.secret}, which is shown this once.`,
  ]);
  return EXIT.ok;
}

export async function rotateSecret(context: Context, [namespace = ""]: Args, options: RotateOptions): Promise<Ok> {
  const { service, previousSecretSeconds } = options;
  const body = previousSecretSeconds === undefined ? {} : { previousSecretSeconds };
  const rotated = await context.api.call<WithSecret>("POST", `${namespacePath(service, namespace)}/rotate`, { body });
  if (!context.json)
    context.err.line(`Alarms are also signed with the old secret until ${rotated.previousSecretUntil}. The new one is shown this once:`);
  // Alone on stdout, so that a script can take it.
  show(context, rotated, (made) => [made.secret]);
  return EXIT.ok;
}

export async function deleteNamespace(context: Context, [namespace = ""]: Args, options: ServiceOptions): Promise<Ok> {
  const body = await context.api.call("DELETE", namespacePath(options.service, namespace));
  show(context, body, () => [`Deleted ${namespace} and its objects.`]);
  return EXIT.ok;
}

export async function listObjects(context: Context, [namespace = ""]: Args, options: Listing): Promise<Ok> {
  const route = `${namespacePath(options.service, namespace)}/objects`;
  const body = await context.api.call<{ objects: StoredObject[] } & Page>("GET", route, { query: pageQuery(options) });
  show(context, body, ({ objects }) => {
    const columns = [{ title: "OBJECT" }, { title: "STORED", align: right }, { title: "LAST SEEN" }];
    const rows = objects.map((o) => [o.objectKey, bytes(o.storageBytes), o.lastSeenAt ?? "–"]);
    return rows.length === 0 ? [`No objects in ${namespace}.`] : [...table(columns, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}

export async function listKeys(context: Context, [namespace = "", object = ""]: Args, options: Listing): Promise<Ok> {
  const route = `${namespacePath(options.service, namespace)}${path`/objects/${object}/keys`}`;
  const body = await context.api.call<{ keys: Entry[]; listComplete: boolean } & Page>("GET", route, { query: pageQuery(options) });
  show(context, body, ({ keys }) => {
    const columns = [{ title: "KEY" }, { title: "SIZE", align: right }, { title: "UPDATED" }];
    const rows = keys.map((k) => [k.key, bytes(k.valueSizeBytes), k.updatedAt ?? "–"]);
    return rows.length === 0 ? [`No keys in ${namespace}/${object}.`] : [...table(columns, rows, context.out.style), ...moreLines(body)];
  });
  return EXIT.ok;
}
