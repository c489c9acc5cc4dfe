/**
 * When a socket that does not close is given up all the same.
 *
 * The agent sends metrics with each collection, which may be half a minute apart or
 * switched off, and its pings are not shown to a page. So a quiet socket is nothing
 * unusual: only a pulled cable is meant, and the system mostly notices that first.
 */

/** The agent closes a socket that it has not heard of for 60 s; a little more than that, ms. */
export const SILENCE = 90_000;

/** Whether a socket opened at `openedAt` and last heard at `heardAt` (0: never) is given up, ms. */
export function isSilent(now: number, openedAt: number, heardAt: number): boolean {
  return now - Math.max(openedAt, heardAt) > SILENCE;
}
