import { systemResolve } from "../../src/egress/egress.ts";

/** Loopback receivers may be told. */
export const LOOPBACK = { allowPrivate: true, resolve: systemResolve(true) };
