import { systemResolve } from "../../src/notifications/egress.ts";

/** Loopback receivers may be told. */
export const LOOPBACK = { allowPrivate: true, resolve: systemResolve(true) };
