import { describe, expect, test } from 'vitest';
import { ProduceTurns } from '../../../src/replication/produce-turns.ts';
import { settled } from '../../support/manual-time.ts';

const admitAll = (): undefined => undefined;

describe('batches in turns', () => {
  test('are appended in the order they came, however long one takes to be prepared', async () => {
    const turns = new ProduceTurns();
    const appended: string[] = [];
    const gate = Promise.withResolvers<Buffer>();
    const run = (name: string, prepare: () => Buffer | Promise<Buffer>): Promise<string> =>
      turns.run({
        prepare,
        admit: admitAll,
        append: async (batch) => {
          appended.push(`${name} ${batch}`);
          return name;
        },
      });
    const outcomes = [
      run('a', () => gate.promise),
      run('b', () => Buffer.from('small')),
      run('c', () => Buffer.alloc(0)),
    ];
    await settled();
    expect(appended).toEqual([]);
    gate.resolve(Buffer.from('large'));
    expect(await Promise.all(outcomes)).toEqual(['a', 'b', 'c']);
    expect(appended).toEqual(['a large', 'b small', 'c ']);
    await settled();
    expect(turns.isEmpty).toBe(true);
  });

  test('do not wait for the outcome of one another', async () => {
    const turns = new ProduceTurns();
    const appended: string[] = [];
    const never = new Promise<never>(() => {});
    for (const name of ['a', 'b'])
      void turns.run({
        prepare: () => Buffer.from(name),
        admit: admitAll,
        append: (batch) => {
          appended.push(String(batch));
          return never;
        },
      });
    await settled();
    expect(appended).toEqual(['a', 'b']);
    expect(turns.isEmpty).toBe(true);
  });

  test('that are refused hold up no others', async () => {
    const turns = new ProduceTurns();
    const bad = turns.run({
      prepare: () => Promise.reject(new Error('no keys')),
      admit: admitAll,
      append: async () => 'bad',
    });
    const good = turns.run({ prepare: () => Buffer.alloc(1), admit: admitAll, append: async () => 'good' });
    await expect(bad).rejects.toThrow('no keys');
    expect(await good).toBe('good');
  });

  test('are all refused that wait behind one for which there is no leader, and only those', async () => {
    const turns = new ProduceTurns();
    const election = Promise.withResolvers<void>();
    let isLeading = false;
    const run = (): Promise<string> =>
      turns.run({
        prepare: () => Buffer.alloc(1),
        admit: () => (isLeading ? undefined : election.promise),
        append: async () => 'appended',
      });
    const waiting = [run(), run()];
    await settled();
    isLeading = true;
    election.reject(new Error('not the leader'));
    for (const outcome of waiting) await expect(outcome).rejects.toThrow('not the leader');
    expect(await run()).toBe('appended');
  });

  test('are not prepared where one before them was refused, nor where nobody leads', async () => {
    const turns = new ProduceTurns();
    let prepared = 0;
    const run = (admit: () => undefined): Promise<string> =>
      turns.run({
        admit,
        prepare: () => {
          prepared++;
          return Buffer.alloc(1);
        },
        append: async () => 'appended',
      });
    const refused = (): never => {
      throw new Error('not the leader');
    };
    for (const outcome of [run(refused), run(admitAll), run(admitAll)])
      await expect(outcome).rejects.toThrow('not the leader');
    expect(prepared).toBe(0);
    expect(await run(admitAll)).toBe('appended');
  });

  test('are all refused behind one that is no longer admitted when it is ready', async () => {
    const turns = new ProduceTurns();
    const gate = Promise.withResolvers<Buffer>();
    let isTaken = true;
    const run = (prepare: () => Buffer | Promise<Buffer>): Promise<string> =>
      turns.run({
        admit: () => {
          if (!isTaken) throw new Error('too few replicas');
          return undefined;
        },
        prepare,
        append: async () => 'appended',
      });
    const outcomes = [run(() => gate.promise), run(() => Buffer.alloc(1))];
    // They are enough again before the second one's turn comes.
    const first = outcomes[0]?.catch(() => {
      isTaken = true;
    });
    await settled();
    isTaken = false;
    gate.resolve(Buffer.alloc(1));
    for (const outcome of outcomes) await expect(outcome).rejects.toThrow('too few replicas');
    await first;
    expect(await run(() => Buffer.alloc(1))).toBe('appended');
  });

  test('are admitted in the same moment as they are appended in', async () => {
    const turns = new ProduceTurns();
    const steps: string[] = [];
    let known: Promise<void> | undefined = Promise.resolve();
    const outcome = turns.run({
      admit: () => {
        steps.push('admit');
        queueMicrotask(() => steps.push('later'));
        const waiting = known;
        known = undefined;
        return waiting;
      },
      prepare: () => Buffer.alloc(1),
      append: async () => void steps.push('append'),
    });
    await outcome;
    expect(steps.slice(0, steps.indexOf('append') + 1)).toEqual([
      'admit',
      'later',
      'admit',
      'later',
      'admit',
      'append',
    ]);
  });
});
