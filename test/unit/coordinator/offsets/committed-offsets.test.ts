import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { OffsetCommitValue } from '../../../../src/coordinator/group-records.ts';
import { CommittedOffsets } from '../../../../src/coordinator/offsets/committed-offsets.ts';
import { leaderEpoch, offset } from '../../../../src/model/brands.ts';
import { SeededRandom } from '../../../simulation/seeded-random.ts';

const committedAt = (at: number): OffsetCommitValue => ({
  offset: offset(at),
  leaderEpoch: leaderEpoch(0),
  metadata: '',
  commitTimestampMs: 0,
  expireTimestampMs: null,
  topicId: null,
});

test('the last commit of a partition counts, and nothing is left of what was deleted', () => {
  const random = new SeededRandom(1);
  const offsets = new CommittedOffsets();
  const model = new Map<string, number>();
  for (let round = 0; round < 3000; round++) {
    const [groupId, topic, partition] = [`g${random.below(4)}`, `t${random.below(3)}`, random.below(3)];
    const key = `${groupId} ${topic} ${partition}`;
    const isDeleted = random.chance(0.5);
    offsets.replay(groupId, topic, partition, isDeleted ? null : committedAt(round));
    if (isDeleted) model.delete(key);
    else model.set(key, round);
    assert.equal(offsets.get(groupId, topic, partition)?.offset, model.get(key));
    const ofGroup = [...model.keys()].filter((one) => one.startsWith(`${groupId} `));
    assert.equal(offsets.has(groupId), ofGroup.length > 0);
    assert.equal(offsets.count(groupId), ofGroup.length);
    const listed = [...offsets.of(groupId)].flatMap(([name, of]) =>
      [...of.keys()].map((at) => `${groupId} ${name} ${at}`),
    );
    assert.deepEqual(listed.sort(), ofGroup.sort());
  }
});
