// Waits: growing, with jitter, and interruptible.

/** How waits between attempts grow. */
export interface Backoff {
  /** The first wait, in ms; 250 when absent. */
  baseMs?: number;
  /** The longest wait, in ms; 10,000 when absent. */
  maxMs?: number;
}

/** The wait before attempt `n` (from 0): doubled each time up to the longest, and between half and all of that by chance,
 * so that many clients of one hub do not come back at the same moment. */
export function delay(n: number, { baseMs = 250, maxMs = 10_000 }: Backoff = {}, random = Math.random): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(n, 30));
  return full / 2 + (full / 2) * random();
}

/** Resolves after `ms`, or at once when `signal` is aborted. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
}
