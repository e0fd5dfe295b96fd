import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from "fastify";
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import type { Scope } from "../accounts/api-key.ts";
import type { Profile } from "../config.ts";
import type { Engine } from "../engine.ts";
import { NAME_LENGTH_MAX } from "../kernel/ids.ts";
import type { State } from "../state/state.ts";
import { Authenticator } from "./auth.ts";
import { readAsJson } from "./body.ts";
import { brokenRequests } from "./broken-requests.ts";
import { registerCallers } from "./caller.ts";
import { registerCallCost } from "./call-cost.ts";
import { OPENAPI_HEAD, openApiDocument, openApiTransform } from "./openapi.ts";
import { createListener, type Certificate } from "./listener.ts";
import { OperatorListener } from "./operator-listener.ts";
import { registerProblems } from "./problems.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { auditRoutes } from "./routes/audit.ts";
import { capRoutes } from "./routes/caps.ts";
import { catalogRoutes } from "./routes/catalog.ts";
import { catalogVersionRoutes } from "./routes/catalog-versions.ts";
import { standingRoutes } from "./routes/standings.ts";
import { checkRoutes, reservationRoutes } from "./routes/check.ts";
import { correctionRoutes } from "./routes/corrections.ts";
import { dashboardRoutes } from "./routes/dashboard.ts";
import { doctorRoutes } from "./routes/doctor.ts";
import { errorPages } from "./routes/error-pages.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { historyRoutes } from "./routes/history.ts";
import { invoiceActionRoutes } from "./routes/invoice-actions.ts";
import { invoiceLineRoutes } from "./routes/invoice-lines.ts";
import { invoiceRoutes } from "./routes/invoices.ts";
import { keyRoutes } from "./routes/keys.ts";
import { leaseRoutes } from "./routes/leases.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { notificationRoutes } from "./routes/notifications.ts";
import { objectRoutes } from "./routes/objects.ts";
import { handOverRoutes, paymentCustomerRoutes, paymentWebhookRoutes } from "./routes/payments.ts";
import { pricingRoutes } from "./routes/pricing.ts";
import { recountRoutes } from "./routes/recount.ts";
import { serviceRoutes } from "./routes/services.ts";
import { alarmRoutes } from "./routes/state-alarms.ts";
import { socketRoutes } from "./routes/state-socket.ts";
import { simulateRoutes } from "./routes/simulate.ts";
import { stateRoutes } from "./routes/state.ts";
import { subscriptionRoutes } from "./routes/subscriptions.ts";
import { testClockRoutes, type SetClock } from "./routes/test-clock.ts";
import { usageRoutes } from "./routes/usage.ts";
import { usageStreamRoutes } from "./routes/usage-stream.ts";
import { creditNoteRoutes } from "./routes/credit-notes.ts";
import { creditRoutes } from "./routes/credits.ts";
import { deliveryRoutes } from "./routes/webhook-deliveries.ts";
import { traceRequests } from "./tracing.ts";
import { webhookRoutes } from "./routes/webhooks.ts";
import { registerSecurityHeaders } from "./security-headers.ts";
import { registerTovukProfile } from "./tovuk-profile.ts";
import { registerSessions } from "./session.ts";

declare module "fastify" {
  interface FastifyInstance {
    authenticator: Authenticator;
    /** The operator's own listener, where there is one; it listens when it is told. */
    operatorListener: OperatorListener | null;
  }
  interface FastifyContextConfig {
    /** Who may call the route; a route that does not say is not served. */
    access?: readonly Scope[] | "open";
  }
}

/** Largest body unless a route says otherwise, bytes: a batch of 1,000 checks has about 400 kB. */
const BODY_BYTES_MAX = 1024 * 1024;
/** A character of a name may take 12 bytes of a path: four of UTF-8, each escaped as %XX. */
const PARAMETER_LENGTH_MAX = NAME_LENGTH_MAX * 12;

export interface AppOptions {
  engine: Engine;
  /** Null where another process holds it (relay.ts): then its routes are not served here. */
  state: State | null;
  adminKey: string;
  /** Given where WEIR_TEST_CLOCK allows setting the time. */
  testClock?: SetClock;
  /** Whether our Redis keeps what it acknowledges; null for one we were told of. */
  redisDurable: boolean | null;
  runJobs: () => Promise<void>;
  /** Whose word on where a request comes from is taken: so many proxies, or those at these addresses; nobody's unless told. */
  trustProxy?: number | string[];
  /** Whose names the API speaks besides its own; Weir's alone unless told. */
  profile?: Profile;
  logger?: FastifyServerOptions["logger"];
  /** Served over TLS with it. */
  certificate?: Certificate;
  /** Given where the operator's routes are answered by a listener of their own, and by no other. */
  apart?: { certificate: Certificate | null };
}

export type App = FastifyInstance<
  import("node:http").Server,
  import("node:http").IncomingMessage,
  import("node:http").ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** The HTTP API, ready to listen or to be injected into. */
export async function buildApp(options: AppOptions): Promise<App> {
  const app = fastify({
    logger: options.logger ?? false,
    bodyLimit: BODY_BYTES_MAX,
    trustProxy: proxyTrust(options.trustProxy),
    serverFactory: (answer) => createListener(answer, options.certificate ?? null),
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    // Refused by a hook (problems.ts), in the words that every refusal has.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    ...brokenRequests,
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.decorate("authenticator", new Authenticator(options.engine, options.adminKey));
  app.decorate("operatorListener", options.apart ? new OperatorListener(app, options.apart.certificate) : null);
  app.decorateRequest("principal", null);
  app.decorateRequest("address", null);
  traceRequests(app);
  registerProblems(app);
  if (options.profile === "tovuk") registerTovukProfile(app);
  registerSecurityHeaders(app);
  registerCallers(app, options.engine);
  app.removeAllContentTypeParsers();
  readAsJson(app, "application/json");
  app.addHook("onRoute", (route) => {
    if (route.config?.access === undefined && !route.url.startsWith("/docs"))
      throw new Error(`${String(route.method)} ${route.url} does not say who may call it`);
  });
  await app.register(swagger, {
    openapi: OPENAPI_HEAD,
    transform: openApiTransform,
    transformObject: openApiDocument,
  });
  await app.register(swaggerUi, { routePrefix: "/docs" });
  await registerRoutes(app, options);
  await app.ready();
  return app;
}

const proxyTrust = (trust: AppOptions["trustProxy"]): NonNullable<FastifyServerOptions["trustProxy"]> =>
  typeof trust === "number" ? (_address, hop) => hop < trust : (trust ?? false);

async function registerRoutes(app: App, options: AppOptions): Promise<void> {
  const { engine, state } = options;
  registerSessions(app, options);
  registerCallCost(app);
  dashboardRoutes(app);
  healthRoutes(app, options);
  errorPages(app);
  metricsRoutes(app, engine);
  checkRoutes(app, engine);
  reservationRoutes(app, engine);
  leaseRoutes(app, engine);
  usageRoutes(app, engine);
  usageStreamRoutes(app, engine);
  historyRoutes(app, engine);
  capRoutes(app, engine);
  pricingRoutes(app, engine);
  simulateRoutes(app, engine);
  catalogRoutes(app, engine);
  catalogVersionRoutes(app, engine);
  standingRoutes(app, engine);
  accountRoutes(app, engine);
  subscriptionRoutes(app, engine);
  invoiceRoutes(app, engine);
  invoiceActionRoutes(app, engine);
  invoiceLineRoutes(app, engine);
  creditNoteRoutes(app, engine);
  creditRoutes(app, engine);
  handOverRoutes(app, engine);
  paymentCustomerRoutes(app, engine);
  keyRoutes(app, engine);
  correctionRoutes(app, engine);
  auditRoutes(app, engine);
  objectRoutes(app, engine);
  doctorRoutes(app, options);
  notificationRoutes(app, engine);
  webhookRoutes(app, engine);
  deliveryRoutes(app, engine);
  await app.register(eventRoutes, { engine });
  await app.register(paymentWebhookRoutes, { engine });
  if (state) await registerStateRoutes(app, engine, state);
  if (options.testClock) testClockRoutes(app, { clock: options.testClock, runJobs: options.runJobs });
}

async function registerStateRoutes(app: App, engine: Engine, state: State): Promise<void> {
  recountRoutes(app, { engine, state });
  await app.register(serviceRoutes, { state });
  await app.register(stateRoutes, { state });
  alarmRoutes(app, { state });
  await socketRoutes(app, { state });
}
