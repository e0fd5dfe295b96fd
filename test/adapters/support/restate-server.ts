import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import * as restate from "@restatedev/restate-sdk";
import { freePort } from "../../../src/servers/process.ts";
import { SupervisedServer } from "../../../src/servers/supervised.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { binaryOf } from "./binary.ts";

const READY_TIME_LIMIT_MS = 30_000;
const STOP_TIME_LIMIT_MS = 10_000;
/** One first start on a machine that has just given its ports away is tried again. */
const PORT_TRIES = 3;

/** What a call through the ingress was answered. */
export interface Answered {
  status: number;
  /** The invocation's id. */
  id: string;
  body: unknown;
}

/** A Restate server of its own, and the deployments it calls. */
export interface RestateServer {
  ingressUrl: string;
  adminUrl: string;
  /** Serves definitions in this process and registers them. */
  deploy(...definitions: Parameters<restate.RestateEndpoint["bind"]>[0][]): Promise<void>;
  /** Registers an endpoint that another process serves. */
  register(uri: string): Promise<void>;
  call(service: string, key: string, handler: string, input?: unknown): Promise<Answered>;
  /** Starts a call and answers its invocation's id. */
  send(service: string, key: string, handler: string, input?: unknown): Promise<string>;
  kill(invocation: string): Promise<void>;
  /** Replaces an object's state out of band, as its console does. */
  edit(service: string, key: string, state: Record<string, string>): Promise<void>;
  sql(statement: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export async function startRestate(): Promise<RestateServer> {
  const dir = tempDir("restate");
  const { server, ingressUrl, adminUrl } = await startOnFreePorts(dir.path);
  const endpoints: Http2Server[] = [];
  const register = async (uri: string): Promise<void> => {
    const { status, body } = await post(`${adminUrl}/deployments`, { uri, force: true });
    if (status !== 201) throw new Error(`Restate does not take the deployment: ${JSON.stringify(body)}`);
  };
  return {
    ingressUrl,
    adminUrl,
    register,
    deploy: async (...definitions) => {
      const endpoint = restate.endpoint();
      for (const definition of definitions) endpoint.bind(definition);
      const listening = createServer(endpoint.setLogger(() => undefined).http2Handler());
      endpoints.push(listening);
      await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
      await register(`http://127.0.0.1:${(listening.address() as AddressInfo).port}`);
    },
    call: (service, key, handler, input) => post(`${ingressUrl}/${service}/${encodeURIComponent(key)}/${handler}`, input),
    send: async (service, key, handler, input) => {
      const { body } = await post(`${ingressUrl}/${service}/${encodeURIComponent(key)}/${handler}/send`, input);
      return (body as { invocationId: string }).invocationId;
    },
    kill: async (invocation) => {
      await fetch(`${adminUrl}/invocations/${invocation}/kill`, { method: "PATCH" });
    },
    edit: async (service, key, state) => {
      const bytes = Object.entries(state).map(([name, value]) => [name, [...Buffer.from(value)]]);
      const { status } = await post(`${adminUrl}/services/${service}/state`, { object_key: key, new_state: Object.fromEntries(bytes) });
      if (status !== 202) throw new Error(`Restate does not take the edit: ${status}`);
    },
    sql: async (query) => ((await post(`${adminUrl}/query`, { query })).body as { rows: Record<string, unknown>[] }).rows,
    stop: async () => {
      await server.stop();
      for (const endpoint of endpoints) endpoint.close();
      dir.remove();
    },
  };
}

async function startOnFreePorts(dir: string): Promise<{ server: SupervisedServer; ingressUrl: string; adminUrl: string }> {
  for (let tries = 1; ; tries++) {
    const [node, ingress, admin] = await Promise.all([freePort(), freePort(), freePort()]);
    const adminUrl = `http://127.0.0.1:${admin}`;
    const server = new SupervisedServer({
      name: "Restate",
      command: binaryOf("@restatedev/restate-server", "restate-server"),
      args: ["--bind-ip", "127.0.0.1", "--base-dir", join(dir, "data"), "--node-name", "n1", "--no-logo", "--listen-mode", "tcp"],
      cwd: dir,
      env: {
        ...process.env,
        RESTATE_BIND_PORT: String(node),
        RESTATE_INGRESS__BIND_PORT: String(ingress),
        RESTATE_ADMIN__BIND_PORT: String(admin),
        RESTATE_DEFAULT_NUM_PARTITIONS: "1",
        RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE: "128 MiB",
        RESTATE_DISABLE_TELEMETRY: "true",
        RUST_LOG: "warn",
      },
      logFile: join(dir, "restate.log"),
      isReady: async () =>
        (await statusOf(`${adminUrl}/health`)) === 200 && (await statusOf(`http://127.0.0.1:${ingress}/restate/health`)) === 200,
      readyTimeLimitMs: READY_TIME_LIMIT_MS,
      stopSignal: "SIGTERM",
      stopTimeLimitMs: STOP_TIME_LIMIT_MS,
    });
    try {
      await server.start();
      return { server, ingressUrl: `http://127.0.0.1:${ingress}`, adminUrl };
    } catch (error) {
      if (tries === PORT_TRIES) throw error;
    }
  }
}

const statusOf = (url: string): Promise<number> =>
  fetch(url).then(
    ({ status }) => status,
    () => 0,
  );

async function post(url: string, body: unknown): Promise<Answered> {
  const response = await fetch(url, {
    method: "POST",
    headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    id: response.headers.get("x-restate-id") ?? "",
    body: text === "" ? null : (JSON.parse(text) as unknown),
  };
}
