import { readFileSync } from "node:fs";
import { join } from "node:path";
import { usageError } from "./failure.ts";

/** Where `npm start` serves unless it is told otherwise. */
const DEFAULT_URL = "http://127.0.0.1:8787";

/** Where to reach the API, and as whom. */
export interface Connection {
  /** Without a trailing slash. */
  url: string;
  /** Null where none is known: some routes need none. */
  key: string | null;
  account: string | null;
  /** The file the key was read from, for messages. */
  credentialsFile: string;
  /** Set when a key was found but is meant for another address, so it was not sent. */
  keyWithheldFor: string | null;
}

export interface ConnectionFlags {
  url?: string;
  key?: string;
  account?: string;
}

interface Credentials {
  url?: string;
  key?: string;
  account?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Flags first, then the environment, then the file that `npm start` writes. The file's key goes to the file's own
 * address only: `--url` of somebody else's server must not be handed the operator's key.
 */
export function resolveConnection(flags: ConnectionFlags, env: Env): Connection {
  const credentialsFile = join(env["WEIR_DATA_DIR"] || ".weir", "credentials.json");
  const file = readCredentials(credentialsFile);
  const url = checkedUrl(flags.url ?? (env["WEIR_URL"] || undefined) ?? file.url ?? DEFAULT_URL);
  const fileUrl = checkedUrl(file.url ?? DEFAULT_URL);
  const sameServer = sameAddress(url, fileUrl);
  const namedKey = flags.key ?? (env["WEIR_KEY"] || undefined);
  // An account named in the file belongs to the file's key: an account's own key needs no account beside it.
  const fileAccount = sameServer && (namedKey === undefined || namedKey === file.key) ? file.account : undefined;
  return {
    url,
    key: namedKey ?? (sameServer ? file.key : undefined) ?? null,
    account: flags.account ?? (env["WEIR_ACCOUNT"] || undefined) ?? fileAccount ?? null,
    credentialsFile,
    keyWithheldFor: namedKey === undefined && file.key !== undefined && !sameServer ? fileUrl : null,
  };
}

function readCredentials(path: string): Credentials {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return {};
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) throw new Error("not an object");
    const member = (name: string): string | undefined => {
      const value: unknown = Reflect.get(parsed, name);
      return typeof value === "string" && value !== "" ? value : undefined;
    };
    const [url, key, account] = [member("url"), member("key"), member("account")];
    return { ...(url ? { url } : {}), ...(key ? { key } : {}), ...(account ? { account } : {}) };
  } catch {
    throw usageError(`${path} is not valid JSON.`, "Delete it and run `npm start` again, or pass --url and --key.");
  }
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw usageError(`"${text}" is not an http(s) address.`, `Use --url ${DEFAULT_URL}, for example.`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** True for two spellings of one server. */
function sameAddress(a: string, b: string): boolean {
  const [first, second] = [new URL(a), new URL(b)];
  const sameHost = first.hostname === second.hostname || (LOOPBACK.has(first.hostname) && LOOPBACK.has(second.hostname));
  return sameHost && first.protocol === second.protocol && first.port === second.port;
}
