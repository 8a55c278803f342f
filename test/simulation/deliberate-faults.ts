/** The faults of replication-invariants §6: each must turn the simulation red, or the simulation is not worth much. */

import type { IsrProposal } from '../../src/controller/control-messages.ts';
import { brokerEpoch, earlier, noBroker, type PartitionEpoch, type TopicId } from '../../src/model/brands.ts';
import { decodeEntry, encodeValue, type PartitionRecord } from '../../src/model/metadata-schema.ts';
import type { DeliberateFault } from './deliberate-fault.ts';
import { groupFaults } from './groups/group-faults.ts';

export const deliberateFaults: readonly DeliberateFault[] = [
  {
    name: '1-proposed-member-not-counted',
    afterLeaderActions(actions, state) {
      // The proposal is out; the leader forgets it and counts the recorded ISR only.
      for (const action of actions)
        if (action.kind === 'proposeIsr' && action.isr.length > state.record.isr.length)
          state.step({ kind: 'isrAnswered', proposalId: action.proposalId, answer: 'notAttempted' });
    },
  },
  {
    name: '2-proposed-removal-counted-at-once',
    afterLeaderActions(actions, state) {
      for (const action of actions) {
        if (action.kind !== 'proposeIsr' || action.isr.length >= state.record.isr.length) continue;
        const isr = action.isr.map((member) => member.brokerId);
        const partitionEpoch = (state.record.partitionEpoch + 0.5) as PartitionEpoch;
        state.step({ kind: 'recordChanged', record: { ...state.record, isr, partitionEpoch }, nowMs: 0 });
      }
    },
    proposalAtController: (proposal) => ({
      ...proposal,
      partitionEpoch: Math.floor(proposal.partitionEpoch) as PartitionEpoch,
    }),
  },
  {
    name: '3-no-leader-epoch-start-condition',
    leaderStart: (start) => ({
      ...start,
      logEndOffset: earlier(start.highWatermark, start.logEndOffset),
    }),
    afterLeaderStart(state, start) {
      if (state.logEndOffset < start.logEndOffset) state.step({ kind: 'appended', logEndOffset: start.logEndOffset });
    },
  },
  {
    name: '4-no-broker-epoch-in-expansion',
    isQuick: false,
    aim: { losesPower: true, minIsr: 2 },
    proposalAtController: (proposal, image): IsrProposal => ({
      ...proposal,
      isr: proposal.isr.map(({ brokerId }) => ({
        brokerId,
        brokerEpoch: image.brokers.get(brokerId)?.record.brokerEpoch ?? brokerEpoch(-1),
      })),
    }),
  },
  {
    name: '5-no-partition-epoch-compare',
    isQuick: false,
    proposalAtController(proposal, image) {
      const record = image.partition(proposal.topicId, proposal.partition)?.record;
      if (!record || record.leaderEpoch !== proposal.leaderEpoch) return proposal;
      return { ...proposal, partitionEpoch: record.partitionEpoch };
    },
  },
  {
    name: '6-attach-not-bound-to-leader-epoch',
    aim: {
      kinds: [
        'moveLeader',
        'moveLeader',
        'moveLeader',
        'breakStream',
        'breakStream',
        'breakStream',
        'cutFromStore',
        'healNetwork',
      ],
      everyMs: 60,
    },
    leaderEvent: (event, state) =>
      event.kind === 'attachRequested' ? { ...event, leaderEpoch: state.leaderEpoch } : event,
  },
  {
    name: '7-acks-of-closed-sessions-counted',
    aim: { kinds: ['moveLeader', 'moveLeader', 'moveLeader', 'breakStream', 'cutOneWay', 'healNetwork'], everyMs: 60 },
    countsLateAcks: true,
  },
  { name: '8-cut-to-high-watermark', cutsToHighWatermark: true },
  { name: '9-registered-before-leaving-the-isr', registersAtOnce: true },
  {
    name: '10-last-isr-member-kept',
    transaction: (txn, world) => ({
      ...txn,
      mutations: txn.mutations.map((mutation) => {
        if (mutation.kind !== 'put' || !mutation.key.startsWith('parts/')) return mutation;
        const entry = decodeEntry(mutation.key, mutation.value);
        if (entry.kind !== 'partition' || entry.value === null || entry.value.isr.length > 0) return mutation;
        const [, topicId, partition] = mutation.key.split('/');
        const before = world.audit.partition(topicId as TopicId, Number(partition))?.record;
        const last = before?.isr ?? [];
        return { ...mutation, value: encodeValue({ ...entry.value, isr: last, elr: [], leader: noBroker }) };
      }),
    }),
  },
  {
    name: '11-lossy-restart-stays-eligible',
    aim: { losesPower: true, minIsr: 2 },
    registration: (registration) => ({
      ...registration,
      stopKind: registration.stopKind === 'lossy' ? 'killed' : registration.stopKind,
    }),
  },
  {
    name: '12-high-watermark-moves-below-min-isr',
    leaderRecord: (record) => ({ ...record, minIsr: 1 }),
  },
  {
    name: '13-min-isr-outside-the-record',
    aim: { changesMinIsr: true },
    leaderRecord: (record, intendedMinIsr): PartitionRecord => ({ ...record, minIsr: intendedMinIsr }),
  },
  { name: '14-empty-epochs-kept', keepsEmptyEpochs: true },
  {
    name: '15-lossy-start-forgotten',
    isQuick: false,
    aim: { minIsr: 2, losesPower: true },
    forgetsLossyStart: true,
  },
  ...groupFaults,
];
