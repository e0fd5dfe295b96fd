import type { FastifyReply, FastifyRequest } from "fastify";

/** Of a body that was refused as too large, bytes that are read and forgotten; in time, the request's own limit bounds it (listener.ts). */
const READ_ON_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Lets a client come to the end of a body that was refused: closed on while it still sends, it would see a broken connection and not the
 * answer. Whoever sends more than the bound is closed on all the same.
 */
export function readOn({ raw }: FastifyRequest, reply: FastifyReply): void {
  // Fastify closes after a body that it did not read.
  void reply.removeHeader("connection");
  let left = READ_ON_BYTES_MAX;
  raw.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) raw.socket.destroy();
  });
}
