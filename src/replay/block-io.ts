import { TraceLineError, checkedOperation, wholeNumber, type TraceOperation } from "./operation.ts";

/** Header of a CloudPhysics block trace (as in the libCacheSim data set). */
export const BLOCK_IO_HEADER = "version,time,op,size,lbn";

/** Block addresses of one object: 2^10, as the mapping of the published trace has it. */
const OBJECT_SHIFT = 10n;

/** SCSI operation codes, hexadecimal. */
const READ = "28";
const WRITE = "2a";

/** `1,5633898,2a,512,42932745`: object = lbn >> 10, key = lbn, read = get, write = put of `size` bytes. */
export function parseBlockIo(line: string): TraceOperation {
  const [, , op, size, lbn, ...more] = line.split(",");
  if (op === undefined || size === undefined || lbn === undefined || more.length > 0) throw new TraceLineError("it has not 5 fields");
  const code = op.toLowerCase();
  if (code !== READ && code !== WRITE) throw new TraceLineError(`operation "${op.slice(0, 40)}" is neither 28 (read) nor 2a (write)`);
  if (!/^\d{1,19}$/.test(lbn)) throw new TraceLineError("lbn is not a block address");
  const bytes = wholeNumber(size, "size");
  return checkedOperation({
    kind: code === READ ? "get" : "put",
    service: null,
    namespace: null,
    // BigInt: a 32-bit shift would fold addresses of disks over 2 TB onto one another.
    object: (BigInt(lbn) >> OBJECT_SHIFT).toString(),
    key: lbn,
    bytes: code === READ ? 0 : bytes,
    alongside: null,
  });
}
