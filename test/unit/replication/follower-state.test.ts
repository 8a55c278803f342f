import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { leaderEpoch, offset } from '../../../src/model/brands.ts';
import type { FollowerAction, FollowerState } from '../../../src/replication/follower-state.ts';
import { followerOf, historyOf } from './partition-fixture.ts';

const attachIdOf = (actions: readonly FollowerAction[]): number => {
  const attach = actions.find((action) => action.kind === 'attach');
  assert.ok(attach, `no attach in ${JSON.stringify(actions)}`);
  return attach.attachId;
};
const open = (follower: FollowerState): number => attachIdOf(follower.step({ kind: 'streamOpened' }));
const attached = (follower: FollowerState, highWatermark = 0, logStart = 0): number => {
  const attachId = open(follower);
  follower.step({ kind: 'attached', attachId, highWatermark: offset(highWatermark), logStartOffset: offset(logStart) });
  return attachId;
};
const data = (
  follower: FollowerState,
  attachId: number,
  base: number,
  end: number,
  changes: { highWatermark?: number; lastEpoch?: number; logStart?: number } = {},
): FollowerAction[] =>
  follower.step({
    kind: 'dataArrived',
    attachId,
    baseOffset: offset(base),
    endOffset: offset(end),
    lastEpoch: leaderEpoch(changes.lastEpoch ?? 5),
    highWatermark: offset(changes.highWatermark ?? 0),
    logStartOffset: offset(changes.logStart ?? 0),
  });
const appended = (follower: FollowerState, end: number): FollowerAction[] =>
  follower.step({ kind: 'appended', logEndOffset: offset(end) });

describe('a follower', () => {
  test('drops epochs of leaders that wrote nothing, then attaches with the epoch of its last record', () => {
    const follower = followerOf({ logEndOffset: offset(7), lastEpoch: leaderEpoch(3) });
    assert.deepEqual(follower.step({ kind: 'streamOpened' }), [
      { kind: 'dropEpochsFrom', logEndOffset: 7 },
      { kind: 'attach', attachId: 1, leaderEpoch: 5, logEndOffset: 7, lastEpoch: 3 },
    ]);
  });
  test('appends what follows its log, and acks it once it is written', () => {
    const follower = followerOf();
    const id = attached(follower);
    assert.deepEqual(data(follower, id, 0, 3), [{ kind: 'append', baseOffset: 0, endOffset: 3 }]);
    assert.deepEqual(data(follower, id, 3, 5), [{ kind: 'append', baseOffset: 3, endOffset: 5 }]);
    assert.deepEqual(appended(follower, 3), [{ kind: 'ack', attachId: id, logEndOffset: 3 }]);
    assert.deepEqual(appended(follower, 5), [{ kind: 'ack', attachId: id, logEndOffset: 5 }]);
  });
  test('drops messages of sessions that are over', () => {
    const follower = followerOf();
    const id = attached(follower);
    follower.step({ kind: 'streamClosed' });
    assert.deepEqual(data(follower, id, 0, 3), []);
    const next = open(follower);
    assert.deepEqual(
      follower.step({ kind: 'attached', attachId: id, highWatermark: offset(0), logStartOffset: offset(0) }),
      [],
    );
    assert.deepEqual(
      follower.step({ kind: 'diverging', attachId: id, epoch: leaderEpoch(1), endOffset: offset(0) }),
      [],
    );
    assert.equal(follower.phase.kind === 'attaching' && follower.phase.attachId, next);
  });
  test('waits for the appends under way before it attaches again, and does not ack them', () => {
    const follower = followerOf();
    const id = attached(follower);
    data(follower, id, 0, 3, { lastEpoch: 4 });
    follower.step({ kind: 'streamClosed' });
    assert.deepEqual(follower.step({ kind: 'streamOpened' }), []);
    assert.deepEqual(appended(follower, 3), [
      { kind: 'attach', attachId: 2, leaderEpoch: 5, logEndOffset: 3, lastEpoch: 4 },
    ]);
  });
  // … | base | epoch
  for (const [title, base, epoch] of [
    ['leaves a gap', 4, 5],
    ['overlaps its log', 1, 5],
    ['is of an epoch beyond the session (KAFKA-18723)', 2, 6],
  ] as const)
    test(`attaches again instead of appending data that ${title}`, () => {
      const follower = followerOf({ logEndOffset: offset(2), lastEpoch: leaderEpoch(4) });
      const id = attached(follower);
      const actions = data(follower, id, base, base + 3, { lastEpoch: epoch });
      assert.deepEqual(
        actions.map((action) => action.kind),
        ['detach', 'attach'],
      );
    });
  test('asks again some time after a refusal, not at once', () => {
    const follower = followerOf();
    const attachId = open(follower);
    assert.deepEqual(follower.step({ kind: 'rejected', attachId, reason: 'unknownLeaderEpoch', nowMs: 100 }), []);
    assert.deepEqual(follower.step({ kind: 'ticked', nowMs: 149 }), []);
    assert.equal(attachIdOf(follower.step({ kind: 'ticked', nowMs: 150 })), 2);
  });
  test('asks again when the leader rejects it later, while it fetches', () => {
    const follower = followerOf();
    const attachId = attached(follower);
    follower.step({ kind: 'rejected', attachId, reason: 'notLeader', nowMs: 100 });
    assert.equal(attachIdOf(follower.step({ kind: 'ticked', nowMs: 150 })), 2);
  });
  test('starts afresh where the log of the leader begins behind its own end', () => {
    const follower = followerOf({ logEndOffset: offset(7), lastEpoch: leaderEpoch(3), highWatermark: offset(7) });
    const attachId = open(follower);
    assert.deepEqual(
      follower.step({ kind: 'attached', attachId, highWatermark: offset(50), logStartOffset: offset(40) }),
      [{ kind: 'truncateFullyAndStartAt', offset: 40 }],
    );
    const actions = follower.step({ kind: 'truncated', logEndOffset: offset(40), lastEpoch: leaderEpoch(-1) });
    assert.deepEqual(actions.at(-1), { kind: 'attach', attachId: 2, leaderEpoch: 5, logEndOffset: 40, lastEpoch: -1 });
    assert.equal(follower.highWatermark, 40);
  });
  test('starts afresh when the leader deletes what it was to get next', () => {
    const follower = followerOf({ logEndOffset: offset(7), lastEpoch: leaderEpoch(5) });
    const id = attached(follower);
    const actions = data(follower, id, 7, 7, { logStart: 20, highWatermark: 30 });
    assert.deepEqual(
      actions.map((action) => action.kind),
      ['detach', 'attach'],
    );
  });
  const refused = (follower: FollowerState, acceptedEnd: number, acceptedEpoch: number): FollowerAction[] =>
    follower.step({
      kind: 'appendRefused',
      acceptedEndOffset: offset(acceptedEnd),
      acceptedEpoch: leaderEpoch(acceptedEpoch),
      nowMs: 0,
    });
  test('asks for its log again after batches that its log refused', () => {
    const follower = followerOf();
    const id = attached(follower);
    data(follower, id, 0, 3);
    assert.deepEqual(refused(follower, 0, -1), [{ kind: 'detach', attachId: id }]);
    assert.equal(attachIdOf(follower.step({ kind: 'ticked', nowMs: 50 })), 2);
  });
  test('attaches at the end of what its log took before it refused, once that is written', () => {
    const follower = followerOf();
    const id = attached(follower);
    data(follower, id, 0, 3, { lastEpoch: 3 });
    data(follower, id, 3, 9, { lastEpoch: 5 });
    refused(follower, 5, 4);
    assert.deepEqual(follower.step({ kind: 'ticked', nowMs: 50 }), []);
    assert.deepEqual(appended(follower, 3), []);
    const attach = appended(follower, 5).at(-1);
    assert.deepEqual(attach, { kind: 'attach', attachId: 2, leaderEpoch: 5, logEndOffset: 5, lastEpoch: 4 });
  });
  test('attaches at the end of older appends where its log refused all of the newest', () => {
    const follower = followerOf();
    const id = attached(follower);
    data(follower, id, 0, 3, { lastEpoch: 3 });
    data(follower, id, 3, 9, { lastEpoch: 5 });
    refused(follower, 3, -1);
    follower.step({ kind: 'ticked', nowMs: 50 });
    const attach = appended(follower, 3).at(-1);
    assert.deepEqual(attach, { kind: 'attach', attachId: 2, leaderEpoch: 5, logEndOffset: 3, lastEpoch: 3 });
  });
});

describe('the high watermark of a follower', () => {
  test('is the lower of what the leader says and what it holds', () => {
    const follower = followerOf();
    const id = attached(follower);
    data(follower, id, 0, 3, { highWatermark: 2 });
    assert.equal(follower.highWatermark, 0);
    assert.deepEqual(appended(follower, 3).at(-1), { kind: 'updateHighWatermark', highWatermark: 2, leaderEpoch: 5 });
    data(follower, id, 3, 3, { highWatermark: 9 });
    assert.equal(follower.highWatermark, 3);
  });
  test('does not fall', () => {
    const follower = followerOf({ logEndOffset: offset(9), highWatermark: offset(8) });
    attached(follower, 3);
    assert.equal(follower.highWatermark, 8);
  });
  test('is confirmed under a new epoch even where it does not move', () => {
    const follower = followerOf({
      logEndOffset: offset(9),
      highWatermark: offset(8),
      highWatermarkEpoch: leaderEpoch(2),
    });
    const attachId = open(follower);
    const actions = follower.step({ kind: 'attached', attachId, highWatermark: offset(8), logStartOffset: offset(0) });
    assert.deepEqual(actions, [{ kind: 'updateHighWatermark', highWatermark: 8, leaderEpoch: 5 }]);
  });
  test('is at most the log end after a stop that lost records', () => {
    assert.equal(followerOf({ logEndOffset: offset(4), highWatermark: offset(8) }).highWatermark, 4);
  });
});

describe('a diverging answer', () => {
  // The follower's log: epoch 1 from 0, 3 from 10, 4 from 15; log end 20.
  const history = historyOf([1, 0], [3, 10], [4, 15]);
  const diverged = (
    epoch: number,
    end: number,
    changes: { highWatermark?: number; unclean?: number; logStart?: number } = {},
  ) => {
    const follower = followerOf(
      {
        logStartOffset: offset(changes.logStart ?? 0),
        logEndOffset: offset(20),
        lastEpoch: leaderEpoch(4),
        highWatermark: offset(changes.highWatermark ?? 0),
        highWatermarkEpoch: leaderEpoch(4),
        uncleanEpoch: leaderEpoch(changes.unclean ?? -1),
      },
      history,
    );
    const attachId = open(follower);
    const actions = follower.step({ kind: 'diverging', attachId, epoch: leaderEpoch(epoch), endOffset: offset(end) });
    return { follower, actions };
  };
  // the leader's answer | cut to
  for (const [title, epoch, end, cut] of [
    ['its epoch ended earlier', 4, 18, 18],
    ['its older epoch ended later', 3, 17, 15],
    ['it has an epoch that we have not', 2, 14, 10],
    ['our older epoch is longer', 1, 6, 6],
  ] as const)
    test(`cuts to ${cut} where ${title}`, () => {
      const { follower, actions } = diverged(epoch, end);
      assert.deepEqual(actions, [{ kind: 'truncateTo', offset: cut }]);
      const after = follower.step({ kind: 'truncated', logEndOffset: offset(cut), lastEpoch: leaderEpoch(1) });
      assert.deepEqual(after.at(-1), { kind: 'attach', attachId: 2, leaderEpoch: 5, logEndOffset: cut, lastEpoch: 1 });
    });
  test('that would cut below the high watermark puts the replica in quarantine (I15)', () => {
    const { follower, actions } = diverged(4, 16, { highWatermark: 17 });
    assert.deepEqual(
      actions.map((action) => action.kind),
      ['quarantine'],
    );
    assert.deepEqual(follower.step({ kind: 'streamOpened' }), []);
  });
  test('may cut below the high watermark after an unclean recovery since', () => {
    const { follower, actions } = diverged(4, 16, { highWatermark: 17, unclean: 5 });
    assert.deepEqual(actions, [{ kind: 'truncateTo', offset: 16 }]);
    follower.step({ kind: 'truncated', logEndOffset: offset(16), lastEpoch: leaderEpoch(4) });
    assert.equal(follower.highWatermark, 16);
  });
  test('that leaves nothing in common starts the log afresh', () => {
    const { actions } = diverged(0, 12, { logStart: 12 });
    assert.deepEqual(actions, [{ kind: 'truncateFullyAndStartAt', offset: 12 }]);
  });
  test('is not acted on twice, and no stream opens into a truncation', () => {
    const { follower } = diverged(4, 18);
    assert.deepEqual(
      follower.step({ kind: 'diverging', attachId: 1, epoch: leaderEpoch(4), endOffset: offset(16) }),
      [],
    );
    follower.step({ kind: 'streamClosed' });
    assert.deepEqual(follower.step({ kind: 'streamOpened' }), []);
    assert.equal(
      attachIdOf(follower.step({ kind: 'truncated', logEndOffset: offset(18), lastEpoch: leaderEpoch(4) })),
      2,
    );
  });
});
