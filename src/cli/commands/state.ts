import type { Command } from "commander";
import { pageable, type PageOptions } from "../paging.ts";
import { action } from "../context.ts";
import { createNamespace, deleteNamespace, listKeys, listNamespaces, listObjects, type ServiceOptions } from "../state/namespaces.ts";
import { deleteValue, getValue, putValue, type GetOptions, type PutOptions } from "../state/values.ts";

export function register(command: Command): void {
  const sub = (name: string, description: string): Command =>
    command.command(name).description(description).requiredOption("--service <service>", "the service");
  pageable(sub("list", "the service's namespaces")).action(action<ServiceOptions & PageOptions>(listNamespaces));
  sub("create", "create a namespace").argument("<namespace>", "a name such as Room").action(action<ServiceOptions>(createNamespace));
  sub("delete", "delete a namespace and all its objects")
    .argument("<namespace>", "its name, or state_namespace_<n>")
    .action(action<ServiceOptions>(deleteNamespace));
  pageable(sub("objects", "the objects of a namespace").argument("<namespace>")).action(action<ServiceOptions & PageOptions>(listObjects));
  pageable(sub("keys", "the keys of an object").argument("<namespace>").argument("<object>")).action(
    action<ServiceOptions & PageOptions>(listKeys),
  );
  sub("get", "a key's value")
    .argument("<namespace>")
    .argument("<object>")
    .argument("<key>")
    .option("--base64", "print the value as base64")
    .option("--raw", "print the value's bytes and nothing after them")
    .action(action<GetOptions>(getValue));
  sub("put", "store a value")
    .argument("<namespace>")
    .argument("<object>")
    .argument("<key>")
    .argument("[value]", "the value; @path sends a file's bytes, @@ stands for a leading @")
    .option("--file <path>", "take the value from a file (- for stdin)")
    .option("--base64", "the value is given as base64")
    .addHelpText("after", "\nExample: weir state put --service service_1 Room room-1 counter 1")
    .action(action<PutOptions>(putValue));
  sub("delete-value", "delete a key and its value")
    .argument("<namespace>")
    .argument("<object>")
    .argument("<key>")
    .action(action<ServiceOptions>(deleteValue));
}
