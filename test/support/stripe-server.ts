import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Fields = Record<string, string>;

/** A request as it came. */
export interface StripeCall {
  method: string;
  path: string;
  key: string | null;
  fields: Fields;
}

/** What happens to a call: it never arrives; it is done, and its answer is lost; or it is answered with this status and sentence. */
export type Mishap = "lost before" | "lost after" | { status: number; message: string };

interface StripeObject {
  id: string;
  object: string;
  [member: string]: unknown;
}

/**
 * A server that speaks the part of Stripe's API that Weir uses, in the shapes of version 2026-10-28: form bodies, idempotency keys whose answers
 * are kept and repeated (errors too, and another body under a known key refused), lists of newest first, drafts that are finalized once.
 */
export class StripeServer {
  readonly calls: StripeCall[] = [];
  readonly customers: StripeObject[] = [];
  readonly invoices: StripeObject[] = [];
  readonly items: StripeObject[] = [];
  readonly meterEvents: Fields[] = [];
  /** Decides of each call what happens to it; null: what should. */
  mishap: (call: StripeCall) => Mishap | null = () => null;
  /** As if what was made just now could not be found yet. */
  listsNothing = false;
  readonly #answers = new Map<string, { asked: string; status: number; body: unknown }>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #ids = 0;

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What Weir made, by its own id of the invoice. */
  invoicesOf(weirInvoice: string): StripeObject[] {
    return this.invoices.filter(({ metadata }) => (metadata as Fields)["weir_invoice"] === weirInvoice);
  }

  itemsOf(invoice: string): StripeObject[] {
    return this.items.filter((item) => item["invoice"] === invoice);
  }

  /** The event that a payment of the invoice is told by. */
  paidEvent(invoice: StripeObject): string {
    const paid = { ...this.#shown(invoice), status: "paid", amount_paid: this.#total(invoice.id) };
    return JSON.stringify({
      id: `evt_${++this.#ids}`,
      object: "event",
      api_version: "2026-10-28.endive",
      created: 1_800_000_000,
      data: { object: paid },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type: "invoice.paid",
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const url = new URL(request.url ?? "/", "http://stripe.test");
    const fields = Object.fromEntries(new URLSearchParams(request.method === "GET" ? url.search : text));
    const key = request.headers["idempotency-key"];
    const call = { method: request.method ?? "", path: url.pathname, key: typeof key === "string" ? key : null, fields };
    this.calls.push(call);
    const mishap = this.mishap(call);
    if (mishap === "lost before") return void request.socket.destroy();
    const { status, body } =
      mishap !== null && mishap !== "lost after" ? this.#keep(call, () => refusal(mishap)) : this.#keep(call, () => this.#answer(call));
    if (mishap === "lost after") return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json", "request-id": `req_${++this.#ids}` }).end(JSON.stringify(body));
  }

  /** Under a key the first answer is the only one. */
  #keep(call: StripeCall, answer: () => { status: number; body: unknown }): { status: number; body: unknown } {
    if (call.key === null || call.method === "GET") return answer();
    const asked = `${call.path} ${JSON.stringify(call.fields)}`;
    const known = this.#answers.get(call.key);
    if (known && known.asked !== asked)
      return refusal(
        { status: 400, message: "Keys for idempotent requests can only be used with the same parameters." },
        "idempotency_error",
      );
    if (known) return known;
    const made = answer();
    this.#answers.set(call.key, { asked, ...made });
    return made;
  }

  #answer({ method, path, fields }: StripeCall): { status: number; body: unknown } {
    const [, , resource = "", id = "", action = ""] = path.split("/");
    if (resource === "customers" && id === "search")
      return ok({ object: "search_result", url: path, has_more: false, data: this.#found(fields) });
    if (resource === "customers" && method === "POST")
      return id === "" ? this.#makeCustomer(fields) : this.#change(this.customers, id, fields);
    if (path === "/v1/billing/meter_events") return this.#countEvent(fields);
    if (resource === "invoiceitems" && method === "POST") return this.#makeItem(fields);
    if (resource === "invoiceitems") return ok(page(path, this.listsNothing ? [] : this.itemsOf(fields["invoice"] ?? ""), fields));
    if (resource === "invoices" && id === "") return method === "POST" ? this.#makeInvoice(fields) : this.#listInvoices(path, fields);
    if (resource === "invoices") return this.#actOn(id, method === "DELETE" ? "delete" : action);
    return refusal({ status: 404, message: `Unrecognized request URL (${method}: ${path}).` });
  }

  /** An identifier is known for a day, which nothing here outlives. */
  #countEvent(fields: Fields) {
    const identifier = fields["identifier"] ?? "";
    if (this.meterEvents.some((event) => event["identifier"] === identifier)) {
      const error = {
        type: "invalid_request_error",
        code: "duplicate_meter_event",
        message: `An event already exists with identifier ${identifier}.`,
      };
      return { status: 400, body: { error } };
    }
    this.meterEvents.push(fields);
    const { event_name, timestamp } = fields;
    return ok({
      object: "billing.meter_event",
      created: 1_800_000_000,
      event_name,
      identifier,
      livemode: false,
      payload: group(fields, "payload"),
      timestamp: Number(timestamp),
    });
  }

  #found(fields: Fields): StripeObject[] {
    const account = /^metadata\["weir_account"\]:"([^"]+)"$/.exec(fields["query"] ?? "")?.[1];
    return this.listsNothing ? [] : this.customers.filter(({ metadata }) => (metadata as Fields)["weir_account"] === account).slice(0, 1);
  }

  #makeCustomer(fields: Fields) {
    const customer = { id: `cus_${++this.#ids}`, object: "customer", email: null, name: null, metadata: group(fields, "metadata") };
    this.customers.push(customer);
    return ok(customer);
  }

  #change(objects: StripeObject[], id: string, fields: Fields) {
    const found = objects.find((object) => object.id === id);
    return found ? ok(Object.assign(found, fields)) : missing(id);
  }

  #makeInvoice(fields: Fields) {
    if (!this.customers.some(({ id }) => id === fields["customer"])) return missing(fields["customer"] ?? "");
    const invoice = {
      ...fields,
      id: `in_${++this.#ids}`,
      object: "invoice",
      status: "draft",
      auto_advance: fields["auto_advance"] === "true",
      metadata: group(fields, "metadata"),
    };
    this.invoices.push(invoice);
    return ok(this.#shown(invoice));
  }

  #makeItem(fields: Fields) {
    const invoice = this.invoices.find(({ id }) => id === fields["invoice"]);
    if (!invoice) return missing(fields["invoice"] ?? "");
    if (invoice["status"] !== "draft") return refusal({ status: 400, message: "This invoice is no longer editable." });
    const item = {
      ...fields,
      id: `ii_${++this.#ids}`,
      object: "invoiceitem",
      amount: Number(fields["amount"]),
      metadata: group(fields, "metadata"),
    };
    this.items.push(item);
    return ok(item);
  }

  #listInvoices(path: string, fields: Fields) {
    const own = this.invoices.filter((invoice) => invoice["customer"] === fields["customer"]).toReversed();
    return ok(page(path, this.listsNothing ? [] : own.map((invoice) => this.#shown(invoice)), fields));
  }

  #actOn(id: string, action: string) {
    const invoice = this.invoices.find((one) => one.id === id);
    if (!invoice) return missing(id);
    const from = { finalize: "draft", delete: "draft", void: "open", pay: "open" }[action];
    if (from !== undefined && invoice["status"] !== from)
      return refusal({ status: 400, message: `This invoice is ${String(invoice["status"])}: it cannot ${action}.` });
    if (action === "delete") {
      this.invoices.splice(this.invoices.indexOf(invoice), 1);
      return ok({ id, object: "invoice", deleted: true });
    }
    if (from !== undefined) invoice["status"] = { finalize: "open", void: "void", pay: "paid" }[action];
    return ok(this.#shown(invoice));
  }

  #total = (invoice: string): number => this.itemsOf(invoice).reduce((sum, { amount }) => sum + Number(amount), 0);

  #shown = (invoice: StripeObject): StripeObject => {
    const total = this.#total(invoice.id);
    return {
      ...invoice,
      total,
      subtotal: total,
      amount_due: total,
      amount_paid: invoice["status"] === "paid" ? total : 0,
      livemode: false,
    };
  };
}

const ok = (body: unknown) => ({ status: 200, body });

const refusal = (
  { status, message }: { status: number; message: string },
  type = status < 500 ? "invalid_request_error" : "api_error",
) => ({
  status,
  body: { error: { type, message } },
});

const missing = (id: string) => ({
  status: 404,
  body: { error: { type: "invalid_request_error", code: "resource_missing", message: `No such object: '${id}'` } },
});

function page(url: string, objects: readonly StripeObject[], { limit = "10", starting_after: after }: Fields) {
  const from = after === undefined ? 0 : objects.findIndex(({ id }) => id === after) + 1;
  const data = objects.slice(from, from + Number(limit));
  return { object: "list", url, has_more: objects.length > from + data.length, data };
}

/** `metadata[a]=1&metadata[b]=2` → `{ a: "1", b: "2" }`. */
const group = (fields: Fields, name: string): Fields =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([field, value]) => {
      const member = field.startsWith(`${name}[`) ? field.slice(name.length + 1, -1) : null;
      return member === null ? [] : [[member, value]];
    }),
  );
