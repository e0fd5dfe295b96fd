/** What a client has done since it was made. `JSON.stringify(meter)` shows it, with what it holds now. */
export interface Metrics {
  /** Checks decided in memory. */
  local: number;
  /** Checks that Weir decided. */
  direct: number;
  denied: number;
  /** Leases asked for. */
  grants: number;
  /** Settles sent, with and without a renewal. */
  settles: number;
  /** Leases given back. */
  returned: number;
  /** Times Weir asked for what was not needed. */
  recalled: number;
  /** Settles that passed a limit. */
  exceeded: number;
  /** Requests that Weir did not answer. */
  unavailable: number;
  /** Requests in the background that Weir refused; `lastRefusal` says why. */
  refused: number;
  lastRefusal: string | null;
  /** Leases whose last settle was refused, or found no room to wait: what they were spent on since is not counted. */
  unsettledLost: number;
  /** Entries the journal could not keep. */
  journalFaults: number;
}

export const newMetrics = (): Metrics => ({
  local: 0,
  direct: 0,
  denied: 0,
  grants: 0,
  settles: 0,
  returned: 0,
  recalled: 0,
  exceeded: 0,
  unavailable: 0,
  refused: 0,
  lastRefusal: null,
  unsettledLost: 0,
  journalFaults: 0,
});
