import type { Config } from "../config.ts";
import { systemResolve } from "../egress/egress.ts";
import type { EngineOptions } from "../engine/options.ts";

/** Where notifications may go and how mail is sent, as the environment says: the same in every process of a deployment. */
export const outboxOptions = ({ webhookAllowPrivate: allowPrivate, mail }: Config): NonNullable<EngineOptions["outbox"]> => ({
  egress: { allowPrivate, resolve: systemResolve(allowPrivate) },
  mail,
});
