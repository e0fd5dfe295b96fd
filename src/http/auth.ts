import type { FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import { hashKey, type Scope } from "../accounts/api-key.ts";
import type { KeyOwner, KeyRing } from "../accounts/key-ring.ts";
import type { Engine } from "../engine.ts";
import type { Clock } from "../kernel/clock.ts";
import { notFound, WeirError } from "../kernel/errors.ts";
import { ACCOUNT_PATTERN, sameSecret } from "../kernel/ids.ts";
import { FailedAttempts } from "./failed-attempts.ts";

/** Who sends a request. `account` is null for the operator's keys. */
export type Principal = KeyOwner;

declare module "fastify" {
  interface FastifyRequest {
    principal: Principal | null;
  }
}

/** Longer than any key of ours; what is longer is not hashed. */
const KEY_LENGTH_MAX = 256;
const ACCOUNT_HEADER = "weir-account";

/** Tells from a request's key who sends it. */
export class Authenticator {
  readonly #keys: KeyRing;
  readonly #clock: Clock;
  readonly #adminHash: Buffer;
  readonly #failed = new FailedAttempts();

  constructor({ keys, clock }: Pick<Engine, "keys" | "clock">, adminKey: string) {
    this.#keys = keys;
    this.#clock = clock;
    this.#adminHash = hashKey(adminKey);
  }

  /**
   * Throws `unauthorized` for a key that is missing, unknown, expired or revoked; they are not told apart. Where an address brings many
   * wrong ones, `rate_limited`. A request without a key guesses nothing and is not counted.
   */
  async principalOf(request: FastifyRequest): Promise<Principal> {
    const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (key === undefined) throw unauthorized();
    if (key.length <= KEY_LENGTH_MAX) {
      if (sameSecret(hashKey(key), this.#adminHash)) return OPERATOR;
      const now = this.#clock.now();
      const found = this.#keys.remembered(key, now) ?? (await this.#find(key, request.ip, now));
      if (found) return found;
    }
    const wait = this.#failed.note(request.ip);
    throw wait === null ? unauthorized() : rateLimited(wait);
  }

  #find(key: string, address: string, now: number): Promise<Principal | null> {
    const wait = this.#failed.waitBeforeLookUp(address);
    if (wait !== null) throw rateLimited(wait);
    return this.#keys.find(key, now);
  }
}

const OPERATOR: Principal = { scope: "admin", account: null, keyId: "operator" };

const unauthorized = (): WeirError => new WeirError("unauthorized", "This call needs a valid key: Authorization: Bearer <key>.");

const rateLimited = (retryAfterSeconds: number): WeirError =>
  new WeirError("rate_limited", "Too many wrong keys came from this address.", { retryAfterSeconds });

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
