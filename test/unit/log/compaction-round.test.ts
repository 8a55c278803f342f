import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import { CompactedHistory, deleteRetentionMs } from '../../support/compacted-history.ts';
import { diskError, type MemoryDisk } from '../../support/memory-disk.ts';

const mapBytes = 1 << 20;
/** A few keys: rounds end where the map is full. */
const smallMapBytes = 24 * 6;

async function randomSteps(history: CompactedHistory, steps: number, sizes: readonly number[]): Promise<void> {
  const { random } = history;
  for (let step = 0; step < steps; step++) {
    const chance = random.below(20);
    if (chance < 12) await history.append();
    else if (chance < 14) await history.commit();
    else if (chance < 16) {
      await history.clean(sizes[random.below(sizes.length)] ?? mapBytes);
      await history.check();
    } else if (chance < 17) await history.time.advance(random.below(2) * deleteRetentionMs);
    else if (chance < 18) await history.cut();
    else if (chance < 19) {
      await history.losePower();
      await history.check();
    } else {
      const { log } = history;
      await log.flush();
      if (random.below(2) === 0) {
        await log.close();
        await history.open('clean', log.recoveryPoint);
      } else {
        await log.release();
        await history.open('killed', log.recoveryPoint);
      }
      await history.check();
    }
  }
}

describe('a compacted log under random use', () => {
  test.each(Array.from({ length: 25 }, (_, index) => index + 1))(
    'gives each key its last value, and the same after a replay (seed %i)',
    async (seed) => {
      const history = new CompactedHistory(new SeededRandom(seed));
      await history.open();
      await randomSteps(history, 120, [mapBytes, mapBytes, smallMapBytes]);
      await history.check();
      await history.checkReplay();
      await history.checkReads();
      expect(history.disk.openFiles).toBeGreaterThan(0);
      await history.log.release();
      expect(history.disk.openFiles, 'files that nobody closes').toBe(0);
    },
  );
});

describe('a round that is cut short', () => {
  /** A history with something to clean, and the operations on the disk that its round takes. */
  async function prepared(seed: number): Promise<CompactedHistory> {
    const history = new CompactedHistory(new SeededRandom(seed));
    await history.open();
    for (let step = 0; step < 30; step++) await history.append();
    await history.log.flush();
    history.highWatermark = history.log.logEndOffset;
    await history.clean(mapBytes);
    await history.time.advance(2 * deleteRetentionMs);
    for (let step = 0; step < 15; step++) await history.append();
    await history.log.flush();
    history.highWatermark = history.log.logEndOffset;
    return history;
  }

  /** Breaks the disk at its operation number `at` from now on; whatever comes later does not happen either. */
  function breakAt(disk: MemoryDisk, at: number, how: 'half' | 'none'): void {
    let count = 0;
    disk.fault = (operation) => {
      count++;
      if (count < at) return null;
      return count === at && how === 'half' && operation === 'write' ? 'half' : diskError('EIO');
    };
  }

  test.each([
    ['a kill', 1],
    ['a loss of power', 2],
    ['a loss of power', 3],
    ['a loss of power', 4],
  ] as const)(
    'by %s at any operation on the disk leaves a log that gives each key its last value (seed %i)',
    async (how, seed) => {
      const past = await prepared(seed);
      const { recoveryPoint } = past.log;
      const whole = past.fork();
      await whole.open('killed', recoveryPoint);
      const before = whole.disk.operations.length;
      await whole.clean(mapBytes);
      const operations = whole.disk.operations.length - before;
      expect(operations).toBeGreaterThan(30);
      for (let at = 1; at <= operations; at++) {
        const history = past.fork();
        await history.open('killed', recoveryPoint);
        breakAt(history.disk, at, at % 2 === 0 ? 'half' : 'none');
        await history.clean(mapBytes).catch(() => {});
        await history.log.release();
        history.disk.fault = () => null;
        if (how === 'a loss of power') history.disk.losePower(() => history.random.chance(0.5));
        await history.open(how === 'a kill' ? 'killed' : 'lossy', recoveryPoint);
        const names = history.disk.paths().filter((path) => /\.(cleaned|swap|tmp)$/.test(path));
        expect(names, `after operation ${at}`).toEqual([]);
        await history.check();
        await history.checkReplay();
        await history.clean(mapBytes);
        await history.check();
        await history.checkReads();
        await history.log.release();
      }
    },
  );
});
