import { monotonicMs } from "../kernel/clock.ts";
import { notFound, WeirError } from "../kernel/errors.ts";
import type { Db } from "../stores/database.ts";
import type { CeilingOf, StateContext } from "./context.ts";
import { classLimitExceeded } from "./class-limit.ts";
import type { Deletions } from "./deletions.ts";
import { namespaceNumber, type Namespace } from "./namespace.ts";
import { findNamespace, insertNamespace, rotateNamespaceSecret, selectNamespaces } from "./namespace-store.ts";
import { totalStorage } from "./object-index.ts";
import { decodeCursor, toPage, type Page, type PageRequest } from "./page.ts";

/** How long a name is believed without asking Postgres, milliseconds: what another process deleted is gone within it. */
const BELIEVED_MS = 2_000;
const BELIEVED_MAX = 10_000;

/** A namespace as it is shown, with the bytes of all its objects. */
export interface NamespaceSummary extends Namespace {
  storageBytes: number;
}

/** A namespace with its new secret, which signs its alarms: shown this once. */
export type WithSecret<T> = T & { secret: Buffer };

/** A namespace after a rotation: its calls are signed with the old secret too until `previousUntil`, epoch ms. */
export type Rotated = WithSecret<Namespace> & { previousUntil: number };

/** The namespaces of all accounts: found by name or id, listed, created up to the plan's limit. */
export class Namespaces {
  readonly #db: Db;
  readonly #context: StateContext;
  readonly #ceilingOf: CeilingOf;
  readonly #deletions: Deletions;
  readonly #believed = new Map<string, { namespace: Namespace; untilMs: number }>();

  constructor(options: { db: Db; context: StateContext; ceilingOf: CeilingOf; deletions: Deletions }) {
    this.#db = options.db;
    this.#context = options.context;
    this.#ceilingOf = options.ceilingOf;
    this.#deletions = options.deletions;
  }

  /** The live namespace that `reference` (a name or `state_namespace_<n>`) means in the service. Throws `not_found`. */
  async resolve(account: string, service: string, reference: string): Promise<Namespace> {
    const key = `${account}/${service}/${reference}`;
    const believed = this.#believed.get(key);
    if (believed && believed.untilMs > monotonicMs() && !this.#context.files.barred(believed.namespace)) return believed.namespace;
    this.#believed.delete(key);
    const number = namespaceNumber(reference);
    const found = await findNamespace(this.#db, { account, service, ...(number === null ? { name: reference } : { number }) });
    if (!found || this.#context.files.barred(found)) throw notFound(`Namespace ${reference} of service ${service}`);
    const [oldest] = this.#believed.keys();
    if (oldest !== undefined && this.#believed.size >= BELIEVED_MAX) this.#believed.delete(oldest);
    this.#believed.set(key, { namespace: found, untilMs: monotonicMs() + BELIEVED_MS });
    return found;
  }

  /** Creates a namespace. Throws `conflict` for a name in use, `limit_exceeded` at the plan's number of classes. */
  async create(account: string, service: string, name: string): Promise<WithSecret<NamespaceSummary>> {
    const now = this.#context.clock.now();
    const usage = this.#context.usageOf("namespace-create");
    const request = { account, service, namespace: name, operation: "namespace-create" as const, usage };
    // What would be denied makes no namespace: taken away again it would leave a number and two audit entries behind.
    await this.#context.admit({ ...request, mode: "peek" }, now);
    const limit = await this.#ceilingOf(account, "stateClasses");
    const creation = await insertNamespace(this.#db, { account, service, name }, limit, now);
    if (creation.outcome === "taken") throw new WeirError("conflict", `Service ${service} has a namespace ${name} already.`);
    if (creation.outcome === "full") throw classLimitExceeded(limit ?? 0, creation.live);
    const { namespace, secret } = creation;
    try {
      await this.#deletions.settled(namespace);
      await this.#context.admit(request, now);
    } catch (error) {
      // Through a whole deletion: somebody may have seen it in a list and put an object into it meanwhile.
      await this.#deletions.remove(namespace).catch(this.#context.onTrouble);
      throw error;
    }
    return { ...namespace, storageBytes: 0, secret };
  }

  /** The service's namespaces, newest first. */
  async list(account: string, service: string, page: PageRequest): Promise<Page<NamespaceSummary>> {
    const cursor = decodeCursor("namespaces", page.cursor);
    const before = cursor === "" ? null : Number(cursor);
    const found = await selectNamespaces(this.#db, { account, service, before }, page.limit + 1);
    const { items, nextCursor } = toPage(found, page.limit, "namespaces", (namespace) => String(namespace.number));
    const usage = this.#context.usageOf("namespace-list");
    await this.#context.admit({ account, service, operation: "namespace-list", usage }, this.#context.clock.now());
    return { items: await Promise.all(items.map((namespace) => this.#summary(namespace))), nextCursor };
  }

  /** Deletes a namespace with its objects, and gives their storage back. Throws `not_found`. */
  async remove(account: string, service: string, reference: string): Promise<Namespace> {
    const namespace = await this.resolve(account, service, reference);
    const usage = this.#context.usageOf("namespace-delete");
    const request = { account, service, namespace: namespace.name, operation: "namespace-delete" as const, usage };
    await this.#context.admit(request, this.#context.clock.now());
    await this.#deletions.remove(namespace);
    return namespace;
  }

  /** Gives the namespace a new secret. Not metered: whoever has lost one must be able to, whatever is used up. Throws `not_found`. */
  async rotateSecret(account: string, service: string, reference: string, previousSeconds: number): Promise<Rotated> {
    const namespace = await this.resolve(account, service, reference);
    const previousUntil = this.#context.clock.now() + previousSeconds * 1_000;
    const secret = await rotateNamespaceSecret(this.#db, namespace, previousUntil);
    if (!secret) throw notFound(`Namespace ${reference} of service ${service}`);
    return { ...namespace, secret, previousUntil };
  }

  async #summary(namespace: Namespace): Promise<NamespaceSummary> {
    return { ...namespace, storageBytes: await this.#context.files.index(namespace, 0, totalStorage) };
  }
}
