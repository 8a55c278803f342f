/** One or more of every message between brokers, with every kind of value that a field can have. */
import type { BrokerMessage, ControllerMessage } from '../../../src/controller/control-messages.ts';
import {
  brokerEpoch,
  brokerId,
  leaderEpoch,
  offset,
  partitionEpoch,
  revision,
  topicId,
} from '../../../src/model/brands.ts';
import type { Fault } from '../../../src/model/fault.ts';
import type { FollowerMessage, LeaderMessage } from '../../../src/replication/replication-messages.ts';

const topic = topicId('AAAAAAAAAAAAAAAAAAAAAQ');
const otherTopic = topicId('_-8zAAAAAAAAAAAAAAAAAA');
const endpoint = { name: 'PLAINTEXT', host: 'broker-1.example', port: 9092 };
const far = 2 ** 52 - 1;

export const faults: readonly Fault[] = [
  { code: 'UNKNOWN_TOPIC_ID' },
  { code: 'NOT_LEADER', leaderId: brokerId(3), leaderEpoch: leaderEpoch(7) },
  { code: 'FENCED_LEADER_EPOCH', leaderId: brokerId(-1), leaderEpoch: leaderEpoch(0) },
  { code: 'OFFSET_OUT_OF_RANGE', asked: offset(far), logStartOffset: offset(0), logEndOffset: offset(300) },
  { code: 'SEGMENT_CORRUPT', file: '/data/a-0/00000000000000000000.log', position: 4_294_967_296, reason: 'CRC' },
  {
    code: 'INVALID_RECORD',
    reason: 'no key',
    recordErrors: [
      { index: 300, reason: 'no key' },
      { index: 0, reason: '' },
    ],
  },
  { code: 'INVALID_RECORD', reason: '' },
  { code: 'TOPIC_ALREADY_EXISTS', reason: "Topic 'a' already exists." },
  { code: 'DUPLICATE_BROKER_ID', reason: 'ü' },
];

export const brokerMessages: readonly BrokerMessage[] = [
  {
    kind: 'register',
    registration: {
      brokerId: brokerId(0),
      incarnation: 'f00d',
      listeners: [endpoint, { name: '', host: '::1', port: 0 }],
      peer: endpoint,
      rack: null,
      directories: ['d1', ''],
      previousBrokerEpoch: brokerEpoch(-1),
      stopKind: 'clean',
    },
  },
  {
    kind: 'register',
    registration: {
      brokerId: brokerId(2_147_483_647),
      incarnation: '',
      listeners: [],
      peer: endpoint,
      rack: '',
      directories: [],
      previousBrokerEpoch: brokerEpoch(far),
      stopKind: 'lossy',
    },
  },
  {
    kind: 'heartbeat',
    sequence: 70_000,
    brokerId: brokerId(1),
    incarnation: 'f00d',
    brokerEpoch: brokerEpoch(-1),
    appliedRevision: revision(0),
    isCaughtUp: true,
    wantsShutdown: false,
    wallMs: 1_760_000_000_000.25,
  },
  {
    kind: 'alterPartition',
    requestId: 9,
    brokerId: brokerId(1),
    brokerEpoch: brokerEpoch(17),
    proposals: [
      {
        topicId: topic,
        partition: 0,
        leaderEpoch: leaderEpoch(4),
        partitionEpoch: partitionEpoch(300),
        isr: [
          { brokerId: brokerId(1), brokerEpoch: brokerEpoch(17) },
          { brokerId: brokerId(2), brokerEpoch: brokerEpoch(0) },
        ],
      },
      {
        topicId: otherTopic,
        partition: 65_536,
        leaderEpoch: leaderEpoch(0),
        partitionEpoch: partitionEpoch(0),
        isr: [],
      },
    ],
  },
  {
    kind: 'admin',
    requestId: 1,
    command: {
      kind: 'createTopics',
      validateOnly: true,
      topics: [
        {
          name: 'a',
          partitions: -1,
          replicationFactor: -1,
          assignment: null,
          configs: { 'retention.ms': '-1', __proto__x: '', '': 'ü' },
          isInternal: true,
        },
        {
          name: 'b',
          partitions: 2,
          replicationFactor: 200,
          assignment: [[brokerId(1), brokerId(200)], []],
          configs: {},
          isInternal: false,
        },
        { name: 'c', partitions: 0, replicationFactor: 1, assignment: [], configs: {}, isInternal: false },
      ],
    },
  },
  { kind: 'admin', requestId: 2, command: { kind: 'deleteTopics', topicIds: [topic, otherTopic] } },
  {
    kind: 'admin',
    requestId: 3,
    command: {
      kind: 'createPartitions',
      validateOnly: false,
      topics: [
        { name: 'a', total: 12, assignment: null },
        { name: 'b', total: -1, assignment: [[brokerId(3)]] },
      ],
    },
  },
  { kind: 'admin', requestId: 4, command: { kind: 'electLeaders', election: 'preferred', partitions: null } },
  {
    kind: 'admin',
    requestId: 5,
    command: { kind: 'electLeaders', election: 'unclean', partitions: [{ topicId: topic, partition: 128 }] },
  },
  { kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(2) },
  { kind: 'probed', brokerId: brokerId(1), outcome: 'noSuchName' },
  { kind: 'probed', brokerId: brokerId(1), outcome: 'accepted' },
  {
    kind: 'replicaStates',
    requestId: 0,
    states: [
      null,
      { lastEpoch: leaderEpoch(-1), logEndOffset: offset(0) },
      { lastEpoch: leaderEpoch(5), logEndOffset: offset(far) },
    ],
  },
];

export const controllerMessages: readonly ControllerMessage[] = [
  { kind: 'registered', brokerEpoch: brokerEpoch(12), revision: revision(far) },
  ...faults.map((fault) => ({ kind: 'registrationRefused', fault }) as const),
  {
    kind: 'heartbeatAnswer',
    sequence: 1,
    controllerEpoch: revision(5),
    state: 'draining',
    leadersLeft: 1_000,
    wallMs: 0,
    proofAgeMs: 250.5,
  },
  {
    kind: 'heartbeatAnswer',
    sequence: 0,
    controllerEpoch: revision(0),
    state: 'unknown',
    leadersLeft: 0,
    wallMs: -1.5,
    proofAgeMs: Number.POSITIVE_INFINITY,
  },
  {
    kind: 'alterPartitionAnswer',
    requestId: 9,
    answers: [
      { kind: 'ok', partitionEpoch: partitionEpoch(0) },
      { kind: 'ineligible' },
      { kind: 'notAttempted' },
      { kind: 'fenced' },
    ],
  },
  { kind: 'adminAnswer', requestId: 1, answer: { kind: 'refused', fault: { code: 'NOT_CONTROLLER' } } },
  {
    kind: 'adminAnswer',
    requestId: 2,
    answer: {
      kind: 'done',
      revision: revision(77),
      results: [
        { fault: { code: 'INVALID_TOPIC', reason: 'the name is empty' } },
        { fault: null, topicId: topic, partitions: 0, replicationFactor: 3 },
      ],
    },
  },
  { kind: 'probe', brokerId: brokerId(2), endpoint },
  { kind: 'askReplicaStates', requestId: 1, partitions: [{ topicId: topic, partition: 0 }] },
  { kind: 'notController' },
];

export const followerMessages: readonly FollowerMessage[] = [
  { kind: 'hello', clusterId: 'c'.repeat(200), brokerId: brokerId(2), brokerEpoch: brokerEpoch(5) },
  {
    kind: 'attach',
    attachId: 1,
    topicId: topic,
    partition: 3,
    leaderEpoch: leaderEpoch(0),
    logEndOffset: offset(0),
    lastEpoch: leaderEpoch(-1),
  },
  { kind: 'detach', attachId: 300 },
  { kind: 'ack', attachId: 1, logEndOffset: offset(far) },
  { kind: 'credit', bytes: 1_048_576 },
  { kind: 'ping' },
];

export const leaderMessages: readonly LeaderMessage[] = [
  { kind: 'pong' },
  { kind: 'helloAnswer', isAccepted: true, reason: '' },
  { kind: 'helloAnswer', isAccepted: false, reason: 'another cluster' },
  { kind: 'reject', attachId: 1, reason: 'offsetAhead', leaderEpoch: leaderEpoch(3) },
  { kind: 'reject', attachId: 0, reason: 'fencedLeaderEpoch', leaderEpoch: leaderEpoch(-1) },
  { kind: 'diverging', attachId: 2, epoch: leaderEpoch(2), endOffset: offset(300) },
  {
    kind: 'attached',
    attachId: 2,
    leaderEpochStartOffset: offset(1),
    highWatermark: offset(2),
    logStartOffset: offset(0),
  },
  {
    kind: 'data',
    attachId: 2,
    baseOffset: offset(0),
    highWatermark: offset(0),
    logStartOffset: offset(0),
    batches: [],
  },
  {
    kind: 'data',
    attachId: 300,
    baseOffset: offset(2 ** 31),
    highWatermark: offset(far),
    logStartOffset: offset(127),
    batches: [Buffer.from('one batch'), Buffer.alloc(200, 7)],
  },
];
