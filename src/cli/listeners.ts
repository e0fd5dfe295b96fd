/** Where a process of Weir listens, and over what: what the configuration says of certificates and of the operator's own port. */
import type { Config } from "../config.ts";
import type { App, AppOptions } from "../http/app.ts";
import { followCertificate, readCertificate } from "../http/certificate-files.ts";

/** What `buildApp` is to be given. The operator's own listener is made in each process, and listens in one: to the others its routes are unknown. */
export async function listenerOptions(
  { tls, admin }: Pick<Config, "tls" | "admin">,
  { isPublic }: { isPublic: boolean },
): Promise<Pick<AppOptions, "certificate" | "apart">> {
  const certificate = tls === null ? null : await readCertificate(tls);
  return {
    ...(certificate !== null && isPublic ? { certificate } : {}),
    ...(admin === null ? {} : { apart: { certificate } }),
  };
}

/** Takes up a renewed certificate until it is told to stop. */
export function keepCertificate(app: App, { tls }: Pick<Config, "tls">, onTrouble: (error: unknown) => void): () => void {
  const stopping = new AbortController();
  if (tls !== null) {
    const servers = [app.server, ...(app.operatorListener === null ? [] : [app.operatorListener.server])];
    followCertificate(servers, tls, { signal: stopping.signal, onTrouble }).catch(onTrouble);
  }
  return () => stopping.abort();
}
