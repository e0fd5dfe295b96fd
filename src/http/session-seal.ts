import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const SECRET_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** A key of 256 characters, an instant and JSON around them, sealed and in base64. */
const SEALED_LENGTH_MAX = 1_024;

/** What a session cookie carries. */
export interface Sealed {
  key: string;
  /** Epoch ms. */
  until: number;
}

/**
 * Seals an API key into a text that only a process with the same operator's key can open: no table, nothing to clean up, every process
 * of a deployment reads it, and a new operator's key ends every session.
 */
export class SessionSeal {
  readonly #secret: Buffer;

  constructor(adminKey: string) {
    this.#secret = Buffer.from(hkdfSync("sha256", adminKey, "weir", "dashboard session 1", SECRET_BYTES));
  }

  seal(content: Sealed): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#secret, nonce);
    const body = Buffer.concat([cipher.update(JSON.stringify(content), "utf8"), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64url");
  }

  /** The key inside, or null for what was not sealed here, was changed, or is past its time. */
  open(text: string, now: number): Sealed | null {
    if (text.length > SEALED_LENGTH_MAX) return null;
    const bytes = Buffer.from(text, "base64url");
    if (bytes.length <= NONCE_BYTES + TAG_BYTES) return null;
    try {
      const decipher = createDecipheriv(ALGORITHM, this.#secret, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const body = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
      const content = JSON.parse(body.toString("utf8")) as Sealed;
      return content.until > now ? content : null;
    } catch {
      return null;
    }
  }
}
