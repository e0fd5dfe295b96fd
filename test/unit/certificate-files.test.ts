import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { followCertificate, readCertificate, type CertificateFiles } from "../../src/http/certificate-files.ts";
import { createListener } from "../../src/http/listener.ts";
import { selfSigned } from "../support/self-signed.ts";
import { tempDir } from "../support/temp-dir.ts";

let dir: ReturnType<typeof tempDir>;
let files: CertificateFiles;
beforeEach(() => {
  dir = tempDir("certificate");
  files = { cert: join(dir.path, "cert.pem"), key: join(dir.path, "key.pem") };
});
afterEach(() => dir.remove());

function write(name: string): void {
  const { cert, key } = selfSigned(name);
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
}

test("a renewed certificate is taken up; one that is half written is told of once, and the present one stays", async () => {
  write("first");
  const server = createListener((_request, response) => response.end(), await readCertificate(files));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const shown = async (): Promise<string> => {
    const socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  };
  const stopping = new AbortController();
  const troubles: string[] = [];
  const followed = followCertificate([server], files, {
    signal: stopping.signal,
    onTrouble: (error) => troubles.push(String(error)),
    lookMs: 5,
  });
  expect(await shown()).toBe("first");
  writeFileSync(files.cert, selfSigned("another's").cert);
  await expect.poll(() => troubles).toHaveLength(1);
  expect(await shown()).toBe("first");
  write("second");
  await expect.poll(shown).toBe("second");
  expect(troubles).toHaveLength(1);
  stopping.abort();
  await followed;
  server.close();
});

test("files that are not there, or do not belong together, are named with their variable", async () => {
  await expect(readCertificate(files)).rejects.toThrow(`${files.cert} cannot be read (ENOENT): see WEIR_TLS_CERT.`);
  write("first");
  writeFileSync(files.key, selfSigned("another's").key);
  await expect(readCertificate(files)).rejects.toThrow("are no certificate and its key");
});
