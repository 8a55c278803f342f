import { describe, expect, test } from 'vitest';
import { ProduceTurns } from '../../../src/replication/produce-turns.ts';
import { settled } from '../../support/manual-time.ts';

const nobodyRefused = (): void => {};

describe('batches in turns', () => {
  test('are appended in the order they came, however long one takes to be prepared', async () => {
    const turns = new ProduceTurns();
    const appended: string[] = [];
    const gate = Promise.withResolvers<Buffer>();
    const run = (name: string, prepare: () => Buffer | Promise<Buffer>): Promise<string> =>
      turns.run({
        prepare,
        leading: nobodyRefused,
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
        leading: nobodyRefused,
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
      leading: nobodyRefused,
      append: async () => 'bad',
    });
    const good = turns.run({ prepare: () => Buffer.alloc(1), leading: nobodyRefused, append: async () => 'good' });
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
        leading: () => (isLeading ? undefined : election.promise),
        append: async () => 'appended',
      });
    const waiting = [run(), run()];
    await settled();
    isLeading = true;
    election.reject(new Error('not the leader'));
    for (const outcome of waiting) await expect(outcome).rejects.toThrow('not the leader');
    expect(await run()).toBe('appended');
  });
});
