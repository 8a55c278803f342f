/** Batches of records whose every part is left to chance, as properties of readers need them. */
import { type BatchToWrite, encodeBatch, type RecordToWrite } from '../../src/records/record-batch.ts';
import type { SeededRandom } from '../simulation/seeded-random.ts';

const nowMs = 1_700_000_000_000;

function bytesOf(random: SeededRandom, mostBytes: number): Buffer | null {
  if (random.below(4) === 0) return null;
  // Some repeat themselves, so that packing them is worth while.
  const length = random.below(mostBytes + 1);
  return random.chance(0.5) ? Buffer.alloc(length, random.below(256)) : Buffer.from(random.bytes(length));
}

function recordOf(random: SeededRandom, offsetDelta: number, mostBytes: number): RecordToWrite {
  return {
    key: bytesOf(random, mostBytes),
    value: bytesOf(random, mostBytes),
    timestampMs: nowMs + (random.below(2 ** 30) - 2 ** 29) * (random.chance(0.1) ? 2 ** 20 : 1),
    headers: Array.from({ length: Math.max(0, random.below(5) - 2) }, (_, index) => ({
      key: `h${index}`,
      value: bytesOf(random, mostBytes),
    })),
    offsetDelta,
  };
}

/** `hasGaps`: as compaction leaves them. */
export function randomBatch(
  random: SeededRandom,
  { count, mostBytes, hasGaps = false }: { count: number; mostBytes: number; hasGaps?: boolean },
  options: Partial<BatchToWrite> = {},
): Buffer {
  let offsetDelta = -1;
  const records = Array.from({ length: count }, () => {
    offsetDelta += hasGaps ? 1 + random.below(300) : 1;
    return recordOf(random, offsetDelta, mostBytes);
  });
  return encodeBatch({ records, ...options });
}
