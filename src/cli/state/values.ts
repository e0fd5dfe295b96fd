import { path } from "../api.ts";
import { printJson, show, type Context, type Args } from "../context.ts";
import { EXIT } from "../exit.ts";
import { bytes } from "../terminal/figures.ts";
import { printable } from "../terminal/style.ts";
import { valueBody, type ValueOptions } from "../value-source.ts";
import { namespacePath, type ServiceOptions } from "./namespaces.ts";

export type PutOptions = ServiceOptions & ValueOptions;

export interface GetOptions extends ServiceOptions {
  base64?: boolean;
  raw?: boolean;
}

interface StoredValue {
  namespace: string;
  object: string;
  entry: { key: string; valueSizeBytes: number; createdAt: string; updatedAt: string };
}

interface ReadValue extends StoredValue {
  valueText: string | null;
  valueBase64: string;
}

type Ok = typeof EXIT.ok;

/** The path of one value. */
export function valuePath(service: string, namespace: string, object: string, key: string): string {
  return `${namespacePath(service, namespace)}${path`/objects/${object}/values/${key}`}`;
}

export async function putValue(context: Context, args: Args, options: PutOptions): Promise<Ok> {
  const [namespace = "", object = "", key = "", word] = args;
  const body = await valueBody(word ?? null, options);
  const stored = await context.api.call<StoredValue>("PUT", valuePath(options.service, namespace, object, key), { body });
  show(context, stored, ({ entry }) => [`Stored ${printable(key)} in ${namespace}/${printable(object)} (${bytes(entry.valueSizeBytes)}).`]);
  return EXIT.ok;
}

export async function getValue(context: Context, args: Args, options: GetOptions): Promise<Ok> {
  const [namespace = "", object = "", key = ""] = args;
  const read = await context.api.call<ReadValue>("GET", valuePath(options.service, namespace, object, key));
  if (context.json) printJson(context, read);
  else if (options.raw) process.stdout.write(Buffer.from(read.valueBase64, "base64"));
  else if (options.base64) context.out.line(read.valueBase64);
  else printValue(context, read);
  return EXIT.ok;
}

/** Text as a line; bytes as they are into a pipe, and only described on a terminal, which they could wreck. */
function printValue(context: Context, read: ReadValue): void {
  if (read.valueText !== null) context.out.line(context.out.interactive ? printable(read.valueText) : read.valueText);
  else if (!context.out.interactive) process.stdout.write(Buffer.from(read.valueBase64, "base64"));
  else context.out.line(`${bytes(read.entry.valueSizeBytes)} that are not text. Use --base64, or --raw into a file.`);
}

export async function deleteValue(context: Context, args: Args, options: ServiceOptions): Promise<Ok> {
  const [namespace = "", object = "", key = ""] = args;
  const body = await context.api.call<{ deleted?: boolean } | null>("DELETE", valuePath(options.service, namespace, object, key));
  const said = body?.deleted === false ? "There was no" : "Deleted";
  show(context, body, () => [`${said} ${printable(key)} in ${namespace}/${printable(object)}.`]);
  return EXIT.ok;
}
