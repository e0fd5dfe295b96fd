import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { Server as TlsServer } from "node:tls";
import { createSecureContext } from "node:tls";
import { sleep } from "../kernel/clock.ts";
import type { Certificate } from "./listener.ts";

/** Where a certificate and its key are. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

/** How often they are looked at: whoever renews a certificate does so days before the old one ends. */
const LOOK_MS = 30_000;

/** Reads both, and sees that they belong together. Throws one sentence that names the file. */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([read("WEIR_TLS_CERT", files.cert), read("WEIR_TLS_KEY", files.key)]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${files.cert} and ${files.key} are no certificate and its key (${why}): see WEIR_TLS_CERT and WEIR_TLS_KEY.`, {
      cause: error,
    });
  }
  return { cert, key };
}

async function read(variable: string, file: string): Promise<Buffer> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${file} cannot be read (${error.code ?? error.message}): see ${variable}.`);
  });
}

/**
 * Serves what the files hold from now on: a renewed certificate is taken up without a restart, for new connections. One that cannot be read,
 * or is half written, is told once, and the present one stays. Until `signal`.
 */
export async function followCertificate(
  servers: readonly Server[],
  files: CertificateFiles,
  { signal, onTrouble, lookMs = LOOK_MS }: { signal: AbortSignal; onTrouble: (error: unknown) => void; lookMs?: number },
): Promise<void> {
  const served = servers.filter((server) => server instanceof TlsServer);
  let present = textOf(await readCertificate(files));
  let trouble = "";
  while (!signal.aborted) {
    await sleep(lookMs, signal);
    const found = await readCertificate(files).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    if (found instanceof Error) {
      if (trouble !== found.message) onTrouble(found);
      trouble = found.message;
      continue;
    }
    trouble = "";
    if (textOf(found) === present) continue;
    present = textOf(found);
    for (const server of served) server.setSecureContext(found);
  }
}

const textOf = ({ cert, key }: Certificate): string => `${String(cert)}\n${String(key)}`;
