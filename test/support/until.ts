/** Waits for what a test cannot be told of: looks again and again until it holds, and gives up with what it was. */
import { setTimeout as delay } from 'node:timers/promises';

/** The first answer of `look` that is neither false, null nor undefined. Rejects after `timeoutMs`, naming `what`. */
export async function until<Result>(
  what: string,
  look: () => Promise<Result | false | null | undefined> | Result | false | null | undefined,
  timeoutMs = 15_000,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== false && found !== null && found !== undefined) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what} (last: ${String(last)})`);
    await delay(10);
  }
}
