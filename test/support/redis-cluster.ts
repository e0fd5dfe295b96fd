import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { RedisNode } from "./redis-node.ts";

const PRIMARIES = 3;
const SLOTS = 16_384;
/** A primary that is silent this long is replaced, unless told: short, since every fault waits for it. */
const NODE_TIMEOUT_MS = 1_000;
const SETTLE_TIME_LIMIT_MS = 30_000;
const KEYS_AT_ONCE = 500;
const MIGRATE_TIMEOUT_MS = 2_000;

interface Member {
  node: RedisNode;
  id: string;
}

/** Three primaries and a replica of each, on loopback. */
export class TestCluster {
  readonly #members: Member[] = [];

  static async start(dataDir: string, nodeTimeoutMs = NODE_TIMEOUT_MS): Promise<TestCluster> {
    const cluster = new TestCluster();
    // Without a file, as the server it stands in for: what a node acknowledged lives as long as the node, or its replica.
    const settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", String(nodeTimeoutMs), "--appendonly", "no"];
    settings.push("--cluster-require-full-coverage", "no");
    for (let i = 0; i < PRIMARIES * 2; i++) {
      const node = await RedisNode.start(dataDir, settings);
      cluster.#members.push({ node, id: String(await node.ask((client) => client.cluster("MYID"))) });
    }
    await cluster.#form();
    return cluster;
  }

  /** host:port of every node. */
  get addresses(): string[] {
    return this.#members.map(({ node }) => `127.0.0.1:${node.port}`);
  }

  /** The primaries that live now, in the order of their first slot. */
  async primaries(): Promise<[RedisNode, RedisNode, RedisNode]> {
    const ports = await this.#slots();
    const [a, b, c] = [...new Set(ports.map(({ port }) => port))].map((port) => this.#at(port));
    if (!a || !b || !c) throw new Error("The cluster has fewer than three primaries");
    return [a, b, c];
  }

  /** Loses everything every primary holds. */
  async flush(): Promise<void> {
    for (const node of await this.primaries()) await node.flush();
  }

  /** SIGKILLs a primary and waits until a replica has taken its slots. */
  async failOver(primary: RedisNode): Promise<void> {
    await primary.kill();
    await this.#until("no replica takes over", async () => {
      const slots = await this.#slots();
      return slots.every(({ port }) => port !== primary.port) && covered(slots);
    });
  }

  /** Starts a killed node again: it finds itself replaced, and follows. */
  async rejoin(node: RedisNode): Promise<void> {
    await node.restart(true);
    await this.#until("the node does not follow", async () => /role:slave/.test(await node.ask((client) => client.info("replication"))));
  }

  /** Moves one slot with all its keys, as an operator's resharding does. */
  async moveSlot(slot: number, from: RedisNode, to: RedisNode): Promise<void> {
    const idOf = (node: RedisNode): string => this.#members.find((member) => member.node === node)?.id ?? "";
    await to.ask((client) => client.cluster("SETSLOT", slot, "IMPORTING", idOf(from)));
    await from.ask((client) => client.cluster("SETSLOT", slot, "MIGRATING", idOf(to)));
    await from.ask(async (client) => {
      for (;;) {
        const keys = await client.cluster("GETKEYSINSLOT", slot, KEYS_AT_ONCE);
        if (keys.length === 0) return;
        await client.call("MIGRATE", "127.0.0.1", to.port, "", 0, MIGRATE_TIMEOUT_MS, "KEYS", ...keys.map(String));
      }
    });
    for (const node of [to, from]) await node.ask((client) => client.cluster("SETSLOT", slot, "NODE", idOf(to)));
  }

  async stop(): Promise<void> {
    for (const { node } of this.#members) {
      await node.kill();
      node.remove();
    }
  }

  async #form(): Promise<void> {
    const [first] = this.#members;
    const share = Math.ceil(SLOTS / PRIMARIES);
    for (const [i, { node }] of this.#members.entries()) {
      if (first && node !== first.node) await first.node.ask((client) => client.cluster("MEET", "127.0.0.1", node.port));
      const [from, to] = [i * share, Math.min(SLOTS, (i + 1) * share) - 1];
      if (i < PRIMARIES) await node.ask((client) => client.call("CLUSTER", "ADDSLOTSRANGE", from, to));
    }
    for (const [i, { node }] of this.#members.slice(PRIMARIES).entries()) {
      const primary = this.#members[i]?.id ?? "";
      await this.#until("a replica does not know its primary", () =>
        node
          .ask((client) => client.cluster("REPLICATE", primary))
          .then(
            () => true,
            () => false,
          ),
      );
    }
    for (const { node } of this.#members) {
      await this.#until("a node does not see the whole cluster", async () => {
        const info = String(await node.ask((client) => client.cluster("INFO")));
        return /cluster_state:ok/.test(info) && /cluster_known_nodes:6/.test(info);
      });
    }
    for (const { node } of this.#members.slice(PRIMARIES))
      await this.#until("a replica does not catch up", async () =>
        /master_link_status:up/.test(await node.ask((client) => client.info("replication"))),
      );
  }

  /** As a living node sees them. */
  async #slots(): Promise<{ from: number; to: number; port: number }[]> {
    for (const { node } of this.#members) {
      const reply = await node.ask((client) => client.cluster("SLOTS")).catch(() => null);
      if (reply === null) continue;
      return reply
        .map(([from, to, primary]) => ({ from: Number(from), to: Number(to), port: Number(primary?.[1]) }))
        .toSorted((a, b) => a.from - b.from);
    }
    throw new Error("No node of the cluster answers");
  }

  #at(port: number): RedisNode {
    const found = this.#members.find(({ node }) => node.port === port);
    if (!found) throw new Error(`No node listens on ${port}`);
    return found.node;
  }

  async #until(otherwise: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = monotonicMs() + SETTLE_TIME_LIMIT_MS;
    while (!(await holds())) {
      if (monotonicMs() > deadline) throw new Error(`Redis Cluster: ${otherwise}`);
      await sleep(50);
    }
  }
}

const covered = (slots: readonly { from: number; to: number }[]): boolean =>
  slots.reduce((sum, { from, to }) => sum + to - from + 1, 0) === SLOTS;
