import type { FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import { findKey } from "../accounts/api-key-store.ts";
import { hashKey, keyId, type Scope } from "../accounts/api-key.ts";
import { monotonicMs, type Clock } from "../kernel/clock.ts";
import { notFound, WeirError } from "../kernel/errors.ts";
import { ACCOUNT_PATTERN, sameSecret } from "../kernel/ids.ts";
import type { Db } from "../stores/database.ts";

/** Who sends a request. `account` is null for the operator's keys. */
export interface Principal {
  scope: Scope;
  account: string | null;
  keyId: string;
}

declare module "fastify" {
  interface FastifyRequest {
    principal: Principal | null;
  }
}

/** A revoked key stops working within this time on other processes, at once on the one that revoked it. */
const KEY_CACHE_MS = 1_000;
const KEY_CACHE_MAX = 10_000;
/** Longer than any key of ours; what is longer is not hashed. */
const KEY_LENGTH_MAX = 256;
const ACCOUNT_HEADER = "weir-account";

interface Cached {
  principal: Principal | null;
  expiresAt: number | null;
  until: number;
}

/** Tells from a request's key who sends it. Keys are looked up by id and compared by hash, in constant time. */
export class Authenticator {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #adminHash: Buffer;
  readonly #cache = new Map<string, Cached>();

  constructor(db: Db, clock: Clock, adminKey: string) {
    this.#db = db;
    this.#clock = clock;
    this.#adminHash = hashKey(adminKey);
  }

  /** Throws `unauthorized` for a key that is missing, unknown, expired or revoked; they are not told apart. */
  async principalOf(request: FastifyRequest): Promise<Principal> {
    const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (key === undefined || key.length > KEY_LENGTH_MAX) throw unauthorized();
    const hash = hashKey(key);
    if (sameSecret(hash, this.#adminHash)) return { scope: "admin", account: null, keyId: "operator" };
    const cacheKey = hash.toString("base64");
    const cached = this.#cache.get(cacheKey);
    const found = cached && cached.until > monotonicMs() ? cached : await this.#lookUp(key, hash, cacheKey);
    const expired = found.expiresAt !== null && found.expiresAt <= this.#clock.now();
    if (!found.principal || expired) throw unauthorized();
    return found.principal;
  }

  /** Forgets what is cached: after a key was revoked here. */
  forget(): void {
    this.#cache.clear();
  }

  async #lookUp(key: string, hash: Buffer, cacheKey: string): Promise<Cached> {
    const id = keyId(key);
    const row = id === null ? null : await findKey(this.#db, id);
    const valid = row !== null && sameSecret(row.hash, hash) && row.revokedAt === null;
    const found: Cached = {
      principal: valid ? { scope: row.scope, account: row.account, keyId: row.id } : null,
      expiresAt: valid ? row.expiresAt : null,
      until: monotonicMs() + KEY_CACHE_MS,
    };
    // Full: start over. At one entry a second-old key that is 10,000 keys in use at once.
    if (this.#cache.size >= KEY_CACHE_MAX) this.#cache.clear();
    this.#cache.set(cacheKey, found);
    return found;
  }
}

const unauthorized = (): WeirError => new WeirError("unauthorized", "This call needs a valid key: Authorization: Bearer <key>.");

/** Lets only these scopes in; runs before the body is read. Every route states its access, by this or by `open`. */
export function allow(...scopes: Scope[]): { onRequest: onRequestAsyncHookHandler; config: { access: Scope[] } } {
  return {
    config: { access: scopes },
    onRequest: async (request) => {
      const principal = await request.server.authenticator.principalOf(request);
      if (!scopes.includes(principal.scope)) throw new WeirError("forbidden", `A key of scope ${principal.scope} may not do this.`);
      request.principal = principal;
    },
  };
}

/** A route that needs no key. */
export const open = { config: { access: "open" as const } };

/** The principal of an authenticated request. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw unauthorized();
  return request.principal;
}

/** The account a request is about: its key's own, or the one that an operator's key names in `Weir-Account`. */
export function accountOf(request: FastifyRequest): string {
  const { account } = principalOf(request);
  const named = request.headers[ACCOUNT_HEADER];
  if (account !== null) return named === undefined || named === account ? account : deny();
  if (typeof named !== "string") throw new WeirError("bad_request", "This key belongs to no account: name one in the header Weir-Account.");
  if (!ACCOUNT_PATTERN.test(named)) throw notFound("The account named in Weir-Account");
  return named;
}

/** The account in a path or body, as far as this key may see it: any other account does not exist for it. */
export function ownAccount(request: FastifyRequest, account: string): string {
  const own = principalOf(request).account;
  return own === null || own === account ? account : deny(account);
}

function deny(account?: string): never {
  throw notFound(account === undefined ? "The account named in Weir-Account" : `Account ${account}`);
}
