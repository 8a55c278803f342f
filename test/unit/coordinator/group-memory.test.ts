import { describe, expect, test } from 'vitest';
import { GroupMemory, ShardMemory } from '../../../src/coordinator/group-memory.ts';

describe('what no log holds of groups', () => {
  test('may fill half of the memory for groups that are not written, and all of it for those that are', () => {
    let refused = 0;
    const memory = new GroupMemory(1000, () => refused++);
    memory.take(400);
    expect([memory.hasRoom(100, false), memory.hasRoom(101, false)]).toEqual([true, false]);
    expect([memory.hasRoom(600, true), memory.hasRoom(601, true)]).toEqual([true, false]);
    expect(refused).toBe(2);
  });

  test('is given back by a shard that is no more, and it takes no more', () => {
    const memory = new GroupMemory(1000);
    const [one, other] = [new ShardMemory(memory), new ShardMemory(memory)];
    one.take(300);
    one.take(-100);
    other.take(50);
    expect(memory.usedBytes).toBe(250);
    one.close();
    one.take(20);
    one.close();
    expect(memory.usedBytes).toBe(50);
  });
});
