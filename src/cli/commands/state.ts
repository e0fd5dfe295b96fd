import type { Command } from "commander";
import { action } from "../context.ts";
import { pageable, type PageOptions } from "../paging.ts";
import { httpUrl, integer } from "../parse.ts";
import { deleteAlarm, getAlarm, setAlarm, type AlarmSetOptions } from "../state/alarms.ts";
import {
  createNamespace,
  deleteNamespace,
  listKeys,
  listNamespaces,
  listObjects,
  rotateSecret,
  type CreateOptions,
  type RotateOptions,
  type ServiceOptions,
} from "../state/namespaces.ts";
import { deleteValue, getValue, putValue, type GetOptions, type PutOptions } from "../state/values.ts";

const WEEK_SECONDS = 7 * 86_400;

export function register(command: Command): void {
  const sub = (name: string, description: string): Command => ofService(command, name, description);
  pageable(sub("list", "the service's namespaces")).action(action<ServiceOptions & PageOptions>(listNamespaces));
  sub("create", "create a namespace")
    .argument("<namespace>", "a name such as Room")
    .option("--worker-url <url>", "where the service's alarms are delivered", httpUrl)
    .action(action<CreateOptions>(createNamespace));
  sub("rotate", "give a namespace a new secret, which signs its alarms; the old one goes on signing for a day")
    .argument("<namespace>", "its name, or state_namespace_<n>")
    .option("--previous-secret-seconds <n>", "how long the old one goes on signing", integer(0, WEEK_SECONDS))
    .action(action<RotateOptions>(rotateSecret));
  sub("delete", "delete a namespace and all its objects")
    .aliases(["del", "rm"])
    .argument("<namespace>", "its name, or state_namespace_<n>")
    .action(action<ServiceOptions>(deleteNamespace));
  pageable(sub("objects", "the objects of a namespace").alias("instances").argument("<namespace>", "a class, by name or id")).action(
    action<ServiceOptions & PageOptions>(listObjects),
  );
  pageable(
    sub("keys", "the keys of an object").argument("<namespace>", "a class, by name or id").argument("<object>", "one keyed object of it"),
  ).action(action<ServiceOptions & PageOptions>(listKeys));
  registerValues(sub);
  registerAlarm(command.command("alarm").description("an object's alarm: it calls the service's worker").helpCommand(false));
}

const ofService = (command: Command, name: string, description: string): Command =>
  command.command(name).description(description).requiredOption("--service <service>", "the service");

function registerValues(sub: (name: string, description: string) => Command): void {
  sub("get", "a key's value")
    .argument("<namespace>", "a class, by name or id")
    .argument("<object>", "one keyed object of it")
    .argument("<key>", "one key of the object")
    .option("--base64", "print the value as base64")
    .option("--raw", "print the value's bytes and nothing after them")
    .action(action<GetOptions>(getValue));
  sub("put", "store a value")
    .alias("set")
    .argument("<namespace>", "a class, by name or id")
    .argument("<object>", "one keyed object of it")
    .argument("<key>", "one key of the object")
    .argument("[value]", "the value; @path sends a file's bytes, @@ stands for a leading @")
    .option("--value <text>", "the value, as it stands")
    .option("--file <path>", "take the value from a file (- for stdin)")
    .option("--base64", "the value is given as base64")
    .action(action<PutOptions>(putValue));
  sub("delete-value", "delete a key and its value")
    .aliases(["delete-state", "del-state", "rm-state"])
    .argument("<namespace>", "a class, by name or id")
    .argument("<object>", "one keyed object of it")
    .argument("<key>", "one key of the object")
    .action(action<ServiceOptions>(deleteValue));
}

function registerAlarm(alarm: Command): void {
  ofService(alarm, "set", "set the alarm, in place of the one it had")
    .argument("<namespace>", "a class, by name or id")
    .argument("<object>", "one keyed object of it")
    .argument("[time]", "when: RFC 3339, or milliseconds since 1970")
    .option("--delay-seconds <n>", "so many seconds from now", integer(0))
    .action(action<AlarmSetOptions>(setAlarm));
  ofService(alarm, "get", "when it rings, and what kept it from ringing")
    .alias("show")
    .argument("<namespace>", "a class, by name or id")
    .argument("<object>", "one keyed object of it")
    .action(action<ServiceOptions>(getAlarm));
  ofService(alarm, "delete", "delete the alarm")
    .aliases(["del", "rm"])
    .argument("<namespace>", "a class, by name or id")
    .argument("<object>", "one keyed object of it")
    .action(action<ServiceOptions>(deleteAlarm));
}
