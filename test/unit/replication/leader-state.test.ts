import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { type BrokerId, brokerEpoch, leaderEpoch, offset } from '../../../src/model/brands.ts';
import type { LeaderAction } from '../../../src/replication/leader-state.ts';
import { b1, b2, b3, contactAt, historyOf, LeaderUnderTest, recordOf } from './partition-fixture.ts';

const proposals = (actions: readonly LeaderAction[]): number[][] =>
  actions.flatMap((action) => (action.kind === 'proposeIsr' ? [action.isr.map((member) => member.brokerId)] : []));
const proposalIds = (actions: readonly LeaderAction[]): number[] =>
  actions.flatMap((action) => (action.kind === 'proposeIsr' ? [action.proposalId] : []));
const onlyProposalId = (actions: readonly LeaderAction[]): number => {
  const [id, ...others] = proposalIds(actions);
  assert.deepEqual(others, []);
  assert.ok(id !== undefined, 'no proposal was made');
  return id;
};

describe('the high watermark', () => {
  // … | ISR | minIsr | log end | acked by b2, b3 (null: not attached) | expected
  const cases = [
    ['waits for the slowest in-sync replica', [b1, b2, b3], 2, 10, [10, 7], 7],
    ['reaches the log end once all hold it', [b1, b2, b3], 2, 10, [10, 10], 10],
    ['stands still while one holds nothing', [b1, b2, b3], 2, 10, [10, 0], 0],
    ['stands still while a member has not attached', [b1, b2, b3], 2, 10, [10, null], 0],
    ['does not wait for a replica outside the ISR', [b1, b2], 2, 10, [8, null], 8],
    ['is the log end at once where the leader is the ISR and enough', [b1], 1, 10, [null, null], 10],
    ['stands still while the ISR is smaller than min ISR', [b1], 2, 10, [null, null], 0],
    ['caps min ISR at the number of replicas', [b1, b2, b3], 7, 10, [9, 9], 9],
  ] as const;
  for (const [title, isr, minIsr, logEnd, acked, expected] of cases)
    test(title, () => {
      const leader = new LeaderUnderTest({ record: recordOf({ isr, minIsr }) });
      leader.append(logEnd);
      for (const [i, end] of acked.entries()) {
        const follower = i === 0 ? b2 : b3;
        if (end === null) continue;
        leader.attach(follower, 0);
        leader.ack(follower, end);
      }
      assert.equal(leader.state.highWatermark, expected);
    });

  test('tells its driver when it moves, and only then', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    leader.append(10);
    leader.attach(b2, 0);
    assert.deepEqual(
      leader.ack(b2, 6).filter((a) => a.kind === 'advanceHighWatermark'),
      [{ kind: 'advanceHighWatermark', highWatermark: 6 }],
    );
    assert.deepEqual(
      leader.ack(b2, 6).filter((a) => a.kind === 'advanceHighWatermark'),
      [],
    );
  });

  test('is kept from before the leader epoch, but never beyond the log end', () => {
    assert.equal(new LeaderUnderTest({ logEndOffset: offset(9), highWatermark: offset(4) }).state.highWatermark, 4);
    assert.equal(new LeaderUnderTest({ logEndOffset: offset(3), highWatermark: offset(4) }).state.highWatermark, 3);
  });

  test('is at least the log start, whatever was last saved of it: only what is committed is deleted', () => {
    const start = { logStartOffset: offset(5), logEndOffset: offset(9), highWatermark: offset(2) };
    assert.equal(new LeaderUnderTest(start).state.highWatermark, 5);
  });

  test('does not fall when a follower attaches again with less', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    leader.append(10);
    leader.attach(b2, 0);
    leader.ack(b2, 10);
    leader.attach(b2, 3, { attachId: 77 });
    assert.equal(leader.state.highWatermark, 10);
  });

  test('counts a proposed member from the moment it is sent (I10)', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    leader.attach(b2, 0);
    assert.deepEqual(proposals(leader.attach(b3, 0)), [[b1, b2, b3]]);
    leader.append(10);
    leader.ack(b2, 10);
    assert.equal(leader.state.highWatermark, 0);
    leader.ack(b3, 4);
    assert.equal(leader.state.highWatermark, 4);
  });

  test('counts a proposed removal only once metadata shows it (I10)', () => {
    const leader = new LeaderUnderTest({ record: recordOf() });
    leader.attach(b2, 0);
    leader.append(10);
    leader.ack(b2, 10);
    leader.nowMs = 9_000;
    leader.append(11);
    leader.ack(b2, 11);
    assert.deepEqual(proposals(leader.tick(2_000)), [[b1, b2]]);
    assert.equal(leader.state.highWatermark, 0);
    leader.record({ isr: [b1, b2] });
    assert.equal(leader.state.highWatermark, 11);
  });

  test('moves by a change of min ISR, and never falls by one', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1] }) });
    leader.append(5);
    assert.equal(leader.state.highWatermark, 0);
    leader.record({ minIsr: 1 });
    assert.equal(leader.state.highWatermark, 5);
    leader.record({ minIsr: 3 });
    leader.append(8);
    assert.equal(leader.state.highWatermark, 5);
    assert.equal(leader.state.canAcceptAcksAll, false);
  });

  test('is not offered to readers before it reaches the start of the leader epoch (I12)', () => {
    const leader = new LeaderUnderTest({
      record: recordOf({ isr: [b1, b2] }),
      logEndOffset: offset(7),
      highWatermark: offset(5),
    });
    assert.equal(leader.state.isOffsetAvailable, false);
    leader.attach(b2, 7);
    assert.equal(leader.state.isOffsetAvailable, true);
  });
});

describe('an attach request', () => {
  // The leader's log: epoch 2 from 0, 4 from 10, 5 from 20; log end 20.
  const history = historyOf([2, 0], [4, 10], [5, 20]);
  const cases = [
    ['of the whole log is attached', 5, 4, 20, 'sendAttached', null],
    ['of a prefix is attached', 5, 2, 6, 'sendAttached', null],
    ['of an empty log is attached', 5, -1, 0, 'sendAttached', null],
    ['of an empty log that starts further on is attached there', 5, -1, 15, 'sendAttached', null],
    ['of an empty log that starts behind this one is diverging', 5, -1, 25, 'sendDiverging', [-1, 20]],
    ['of an older leader epoch is fenced', 4, 4, 20, 'sendReject', null],
    ['of a newer leader epoch is not known', 6, 4, 20, 'sendReject', null],
    ['that is longer than its epoch was is diverging', 5, 2, 12, 'sendDiverging', [2, 10]],
    ['of an epoch that this log has not is diverging', 5, 3, 8, 'sendDiverging', [2, 10]],
    ['that is longer than this log is diverging', 5, 4, 25, 'sendDiverging', [4, 20]],
  ] as const;
  for (const [title, epoch, lastEpoch, logEnd, expected, diverging] of cases)
    test(title, () => {
      const leader = new LeaderUnderTest({ logEndOffset: offset(20) }, history);
      const [answer] = leader.attach(b2, logEnd, { leaderEpoch: epoch, lastEpoch });
      assert.equal(answer?.kind, expected);
      if (answer?.kind === 'sendDiverging') assert.deepEqual([answer.epoch, answer.endOffset], diverging);
      assert.equal(leader.state.logEndOffsetOf(b2), expected === 'sendAttached' ? logEnd : null);
    });

  test('under another broker epoch than metadata has is refused (I13)', () => {
    const leader = new LeaderUnderTest();
    assert.equal(leader.attach(b2, 0, { brokerEpoch: 999 })[0]?.kind, 'sendReject');
  });

  test('ends the session before it, so that acks of that count for nothing (I13)', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    leader.append(10);
    leader.attach(b2, 0, { attachId: 1 });
    leader.attach(b2, 0, { attachId: 2 });
    leader.ack(b2, 10, 1);
    assert.equal(leader.state.highWatermark, 0);
    leader.ack(b2, 10, 2);
    assert.equal(leader.state.highWatermark, 10);
  });
});

test('a late attach request from a stream that was given up does not end the session that came after it', () => {
  const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
  leader.append(10);
  leader.attach(b2, 0, { attachId: 8 });
  assert.deepEqual(leader.attach(b2, 0, { attachId: 7 }), []);
  leader.ack(b2, 10, 8);
  assert.equal(leader.state.highWatermark, 10);
});

test('acks after detaching, after the end of the stream and beyond the log end have no effect', () => {
  const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
  leader.append(10);
  leader.attach(b2, 0);
  leader.ack(b2, 11);
  leader.state.step({ kind: 'detached', streamId: b2, attachId: b2 });
  leader.ack(b2, 9);
  leader.attach(b2, 0);
  leader.state.step({ kind: 'streamClosed', streamId: b2 });
  leader.ack(b2, 9);
  assert.equal(leader.state.highWatermark, 0);
});

describe('a replica enters the ISR', () => {
  const withoutB3 = (): LeaderUnderTest =>
    new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }), logEndOffset: offset(7), highWatermark: offset(5) });

  test('once it holds the log up to the start of the leader epoch, not just to the high watermark (I17)', () => {
    const leader = withoutB3();
    assert.deepEqual(proposals(leader.attach(b3, 6)), []);
    assert.deepEqual(proposals(leader.ack(b3, 7)), [[b1, b2, b3]]);
  });
  test('once it holds everything committed', () => {
    const leader = withoutB3();
    leader.attach(b2, 7);
    leader.append(12);
    leader.ack(b2, 12);
    assert.deepEqual(proposals(leader.attach(b3, 11)), []);
    assert.deepEqual(proposals(leader.ack(b3, 12)), [[b1, b2, b3]]);
  });
  test('only while it is active, and as soon as it is', () => {
    const leader = withoutB3();
    leader.brokers.inactive.add(b3);
    assert.deepEqual(proposals(leader.attach(b3, 7)), []);
    leader.brokers.inactive.delete(b3);
    assert.deepEqual(proposals(leader.state.step({ kind: 'brokersChanged', nowMs: 0 })), [[b1, b2, b3]]);
  });
  test('only under the broker epoch it attached with', () => {
    const leader = withoutB3();
    leader.brokers.inactive.add(b3);
    leader.attach(b3, 7);
    leader.brokers.inactive.delete(b3);
    leader.brokers.epochs.set(b3, brokerEpoch(200));
    assert.deepEqual(proposals(leader.tick()), []);
  });
  test('not while it would have to leave again at once, because it does not get on', () => {
    const leader = withoutB3();
    leader.append(12);
    leader.nowMs = 20_000;
    assert.deepEqual(proposals(leader.attach(b3, 8)), []);
    assert.deepEqual(proposals(leader.ack(b3, 12)), [[b1, b2, b3]]);
  });
  test('only while attached', () => {
    const leader = withoutB3();
    leader.attach(b3, 6);
    leader.ack(b3, 6);
    leader.state.step({ kind: 'streamClosed', streamId: b3 });
    leader.ack(b3, 7);
    assert.deepEqual(proposals(leader.tick()), []);
  });
});

describe('a replica leaves the ISR', () => {
  const attached = (): LeaderUnderTest => {
    const leader = new LeaderUnderTest();
    leader.attach(b2, 0);
    leader.attach(b3, 0);
    return leader;
  };
  test('after lagging for too long', () => {
    const leader = attached();
    leader.append(1);
    leader.ack(b2, 1);
    assert.deepEqual(proposals(leader.tick(10_000)), []);
    leader.ack(b2, 1);
    assert.deepEqual(proposals(leader.tick(1)), [[b1, b2]]);
  });
  test('when its stream is gone for too long, even if there is nothing to send', () => {
    const leader = attached();
    leader.state.step({ kind: 'streamClosed', streamId: b3 });
    assert.deepEqual(proposals(leader.tick(10_001)), [[b1, b2]]);
  });
  test('not while it holds all that there was a moment ago, under steady load', () => {
    const leader = attached();
    for (let end = 100; end < 4_000; end += 100) {
      leader.nowMs += 500;
      leader.append(end);
      leader.ack(b2, end - 50);
      leader.ack(b3, end - 50);
      assert.deepEqual(proposals(leader.tick()), []);
    }
  });
  test('not for the time in which this process stood still', () => {
    const leader = attached();
    leader.append(1);
    leader.nowMs = 60_000;
    leader.state.step({ kind: 'stalled', nowMs: leader.nowMs });
    assert.deepEqual(proposals(leader.tick()), []);
    assert.deepEqual(proposals(leader.tick(10_001)), [[b1]]);
  });
});

describe('a proposal', () => {
  const pending = (): { leader: LeaderUnderTest; id: number } => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    leader.attach(b2, 0);
    return { leader, id: onlyProposalId(leader.attach(b3, 0)) };
  };
  const members = (leader: LeaderUnderTest): number[] => [...leader.state.maximalIsr()].sort();

  test('is dropped when the controller did not attempt it, and made again at a tick', () => {
    for (const answer of ['ineligible', 'notAttempted'] as const) {
      const { leader, id } = pending();
      leader.state.step({ kind: 'isrAnswered', proposalId: id, answer });
      assert.deepEqual(members(leader), [b1, b2]);
      assert.deepEqual(proposals(leader.tick()), [[b1, b2, b3]]);
    }
  });
  test('stays pending after fenced and after a lost request, and is repeated', () => {
    const fates = [
      (id: number) => ({ kind: 'isrAnswered', proposalId: id, answer: 'fenced' }) as const,
      (id: number) => ({ kind: 'isrRequestLost', proposalId: id }) as const,
    ];
    for (const fate of fates) {
      const { leader, id } = pending();
      leader.state.step(fate(id));
      assert.deepEqual(members(leader), [b1, b2, b3]);
      assert.deepEqual(proposals(leader.tick(100)), []);
      const [repeated] = leader.tick(100);
      assert.equal(repeated?.kind === 'proposeIsr' && repeated.proposalId !== id, true);
    }
  });
  test('repeats the broker epochs it was made with', () => {
    const { leader, id } = pending();
    leader.brokers.epochs.set(b3, brokerEpoch(999));
    leader.state.step({ kind: 'isrRequestLost', proposalId: id });
    const [repeated] = leader.tick(200);
    assert.ok(repeated?.kind === 'proposeIsr');
    assert.deepEqual(
      repeated.isr.map((member) => member.brokerEpoch),
      [101, 102, 103],
    );
  });
  test('that was accepted waits for metadata and is not repeated', () => {
    const { leader, id } = pending();
    leader.state.step({ kind: 'isrAnswered', proposalId: id, answer: 'ok' });
    assert.deepEqual(proposals(leader.tick(60_000)), []);
    assert.deepEqual(members(leader), [b1, b2, b3]);
    leader.record({ isr: [b1, b2, b3] });
    assert.equal(leader.state.hasPendingProposal, false);
  });
  test('ends with any newer record', () => {
    const { leader } = pending();
    leader.brokers.inactive.add(b3);
    leader.record({ minIsr: 1 });
    assert.deepEqual(members(leader), [b1, b2]);
  });
  test('refused after an earlier sending was lost keeps its members counted and proposes the recorded ISR', () => {
    const { leader, id } = pending();
    leader.state.step({ kind: 'isrRequestLost', proposalId: id });
    const again = onlyProposalId(leader.tick(200));
    leader.state.step({ kind: 'isrAnswered', proposalId: again, answer: 'ineligible' });
    assert.deepEqual(members(leader), [b1, b2, b3]);
    assert.deepEqual(proposals(leader.tick(200)), [[b1, b2]]);
    leader.brokers.inactive.add(b3);
    leader.record({});
    assert.deepEqual(members(leader), [b1, b2]);
  });
  test('takes no answer that was meant for an earlier sending', () => {
    const { leader, id } = pending();
    leader.state.step({ kind: 'isrRequestLost', proposalId: id });
    leader.tick(200);
    leader.state.step({ kind: 'isrAnswered', proposalId: id, answer: 'ineligible' });
    assert.deepEqual(members(leader), [b1, b2, b3]);
  });
  test('is one at a time', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1] }) });
    assert.deepEqual(proposals(leader.attach(b2, 0)), [[b1, b2]]);
    assert.deepEqual(proposals(leader.attach(b3, 0)), []);
    assert.deepEqual(proposals(leader.record({ isr: [b1, b2] })), [[b1, b2, b3]]);
  });
});

describe('an isolated leader (I19)', () => {
  test('takes no appends once nobody has answered for the isolation time', () => {
    const leader = new LeaderUnderTest();
    assert.equal(leader.state.mayAppend(1_999, contactAt(0)), true);
    assert.equal(leader.state.mayAppend(2_000, contactAt(0)), false);
    assert.equal(leader.state.mayAppend(2_000, contactAt(1)), true);
    leader.state.step({ kind: 'heard', follower: b2, sentMs: 500, question: 0 });
    assert.equal(leader.state.mayAppend(2_400, contactAt(0)), true);
    assert.equal(leader.state.mayAppend(2_500, contactAt(0)), false);
  });
  test('takes an ack as contact only as of when what it acks can have been sent', () => {
    const leader = new LeaderUnderTest();
    leader.nowMs = 1_000;
    leader.attach(b2, 0);
    leader.nowMs = 1_100;
    leader.append(5);
    // The process stands still, then finds the ack in its socket.
    leader.nowMs = 30_000;
    leader.ack(b2, 5);
    assert.equal(leader.state.mayAppend(30_000, contactAt(0)), false);
  });
  // … | ISR | ELR | whether the answer alone, without a proof, will do
  const unproved = [
    ['where others are in sync', [b1, b2], [], false],
    ['where another is still eligible', [b1], [b2], false],
    ['where nobody else can be elected: the store may be away (§2.11)', [b1], [], true],
  ] as const;
  for (const [title, isr, elr, expected] of unproved)
    test(`${expected ? 'is not one' : 'is one'} with a controller that answers and proves nothing, ${title}`, () => {
      const leader = new LeaderUnderTest({ record: recordOf({ isr, elr }) });
      const contact = { provedMs: 1_000, answeredMs: 30_000 };
      assert.equal(leader.state.mayAppend(30_100, contact), expected);
      assert.equal(leader.state.mayAppend(32_000, contact), false);
    });
  test('may have proposed who can be elected instead', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1] }) });
    assert.deepEqual(proposals(leader.attach(b2, 0)), [[b1, b2]]);
    assert.equal(leader.state.mayAppend(30_000, { provedMs: 0, answeredMs: 30_000 }), false);
  });
  test('does not exist where there is no other replica', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ replicas: [b1], isr: [b1] }) });
    assert.equal(leader.state.mayAppend(99_000, contactAt(0)), true);
  });
});

describe('whether it leads still', () => {
  const ask = (leader: LeaderUnderTest): LeaderAction[] => leader.state.step({ kind: 'questioned' });
  const hear = (leader: LeaderUnderTest, follower: BrokerId, question: number): number[] =>
    confirmed(leader.state.step({ kind: 'heard', follower, sentMs: 0, question }));
  const confirmed = (actions: readonly LeaderAction[]): number[] =>
    actions.flatMap((action) => (action.kind === 'confirmLeadership' ? [action.question] : []));

  // … | ISR, ELR | who has to answer
  const cases = [
    ['all that are in sync', [b1, b2, b3], [], [b2, b3]],
    ['nobody that is out of sync', [b1, b2], [], [b2]],
    ['who leads when the ISR is empty', [b1], [b3], [b3]],
    ['nobody, where no other can be elected', [b1], [], []],
  ] as const;
  for (const [title, isr, elr, asked] of cases)
    test(`is known by the answers of ${title}`, () => {
      const leader = new LeaderUnderTest({ record: recordOf({ isr, elr }) });
      const actions = ask(leader);
      assert.deepEqual(confirmed(actions), asked.length === 0 ? [1] : []);
      assert.equal(
        actions.some(({ kind }) => kind === 'askFollowers'),
        asked.length > 0,
      );
      for (const [i, id] of asked.entries()) assert.deepEqual(hear(leader, id, 1), i === asked.length - 1 ? [1] : []);
      assert.equal(leader.state.confirmedQuestion, 1);
    });

  test('is not known by an answer to what was asked before', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    ask(leader);
    assert.deepEqual(ask(leader), [{ kind: 'askFollowers', question: 2 }]);
    assert.deepEqual(hear(leader, b2, 0), []);
    assert.deepEqual(hear(leader, b2, 1), [1]);
    assert.deepEqual(hear(leader, b2, 1), []);
    assert.deepEqual(hear(leader, b2, 2), [2]);
  });
  test('is known as of what all have answered', () => {
    const leader = new LeaderUnderTest();
    for (let i = 0; i < 3; i++) ask(leader);
    assert.deepEqual(hear(leader, b2, 3), []);
    assert.deepEqual(hear(leader, b3, 2), [2]);
    assert.deepEqual(hear(leader, b3, 3), [3]);
  });
  test('has to be answered by a proposed member, which may be in the ISR already, until the proposal is over', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    const id = onlyProposalId(leader.attach(b3, 0));
    ask(leader);
    assert.deepEqual(hear(leader, b2, 1), []);
    assert.deepEqual(confirmed(leader.state.step({ kind: 'isrAnswered', proposalId: id, answer: 'fenced' })), []);
    assert.deepEqual(confirmed(leader.record({ isr: [b1, b2] })), [1]);
  });
  test('need not be answered by one whose proposal was refused', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    const id = onlyProposalId(leader.attach(b3, 0));
    ask(leader);
    hear(leader, b2, 1);
    assert.deepEqual(confirmed(leader.state.step({ kind: 'isrAnswered', proposalId: id, answer: 'ineligible' })), [1]);
  });
  test('need not be answered any more by a member that has left the ISR', () => {
    const leader = new LeaderUnderTest();
    ask(leader);
    hear(leader, b2, 1);
    assert.deepEqual(confirmed(leader.record({ isr: [b1, b2] })), [1]);
  });
  test('is asked of a follower that attaches while it is open', () => {
    const leader = new LeaderUnderTest({ record: recordOf({ isr: [b1, b2] }) });
    ask(leader);
    assert.deepEqual(leader.attach(b2, 0).at(-1), { kind: 'askFollowers', question: 1 });
    hear(leader, b2, 1);
    assert.ok(!leader.attach(b2, 0, { attachId: 77 }).some(({ kind }) => kind === 'askFollowers'));
  });
});

test('a record of another leader epoch is another LeaderState', () => {
  const leader = new LeaderUnderTest();
  assert.throws(() => leader.record({ leaderEpoch: leaderEpoch(6) }), /another leader epoch/);
});
