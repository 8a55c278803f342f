/** How do the control messages look on the wire? The tables behind `proto/cordwood/control.proto`, both directions. */
import type {
  AdminAnswer,
  AdminCommand,
  AdminItemResult,
  BrokerMessage,
  ControllerMessage,
  DialOutcome,
  IsrAnswer,
  IsrProposal,
  NewTopic,
  Registration,
  ReplicaState,
  StopKind,
} from '../controller/control-messages.ts';
import {
  type BrokerId,
  brokerEpoch,
  brokerId,
  leaderEpoch,
  offset,
  partitionEpoch,
  revision,
  type TopicId,
  topicId,
} from '../model/brands.ts';
import type { Fault } from '../model/fault.ts';
import type { BrokerState, Endpoint } from '../model/metadata-schema.ts';
import { faultType } from './fault-codec.ts';
import { ProtobufError } from './protobuf.ts';
import {
  boolean,
  branded,
  double,
  enumeration,
  type Field,
  type FieldType,
  field,
  known,
  type MessageType,
  mapped,
  message,
  nullable,
  oneOf,
  repeated,
  signed,
  text,
  textMap,
  unsigned,
} from './protobuf-message.ts';

const brokerIdType = branded(signed, brokerId);
const brokerEpochType = branded(signed, brokerEpoch);
const leaderEpochType = branded(signed, leaderEpoch);
const partitionEpochType = branded(unsigned, partitionEpoch);
const revisionType = branded(unsigned, revision);
const offsetType = branded(unsigned, offset);
const topicIdType = mapped<string, TopicId>(text, topicId, (id) => id);

const endpoint = message<Endpoint>({ name: field(1, text), host: field(2, text), port: field(3, unsigned) });

const stopKind = enumeration<StopKind>(['clean', 'killed', 'lossy']);
const brokerState = enumeration<BrokerState | 'unknown'>(['fenced', 'active', 'draining', 'unknown']);
const dialOutcome = enumeration<DialOutcome>(['accepted', 'refused', 'noSuchName', 'silent']);
const election = enumeration<'preferred' | 'unclean'>(['preferred', 'unclean']);

const registration = message<Registration>({
  brokerId: field(1, brokerIdType),
  incarnation: field(2, text),
  listeners: repeated(3, endpoint),
  peer: field(4, endpoint),
  rack: nullable(5, text),
  directories: repeated(6, text),
  previousBrokerEpoch: field(7, brokerEpochType),
  stopKind: field(8, stopKind),
});

const isrProposal = message<IsrProposal>({
  topicId: field(1, topicIdType),
  partition: field(2, unsigned),
  leaderEpoch: field(3, leaderEpochType),
  partitionEpoch: field(4, partitionEpochType),
  isr: repeated(
    5,
    message<IsrProposal['isr'][number]>({ brokerId: field(1, brokerIdType), brokerEpoch: field(2, brokerEpochType) }),
  ),
});

/** A case without data: an empty message under its number. */
const nothing = (number: number) => field(number, message<object>({}));

const isrAnswer = known(
  oneOf<IsrAnswer>({
    ok: field(1, message({ partitionEpoch: field(1, partitionEpochType) })),
    ineligible: nothing(2),
    notAttempted: nothing(3),
    fenced: nothing(4),
  }),
);

const partitionRef = message<{ readonly topicId: TopicId; readonly partition: number }>({
  topicId: field(1, topicIdType),
  partition: field(2, unsigned),
});

/** A list that may be null (the user chose nothing) as a message that may be absent: proto3 cannot tell [] from none. */
function listOf<Item>(item: FieldType<Item>): FieldType<readonly Item[]> {
  return mapped(
    message<{ readonly items: readonly Item[] }>({ items: repeated(1, item) }),
    ({ items }) => items,
    (items) => ({ items }),
  );
}

const assignment = listOf<readonly BrokerId[]>(listOf(brokerIdType));

const newTopic = message<NewTopic>({
  name: field(1, text),
  partitions: field(2, signed),
  replicationFactor: field(3, signed),
  assignment: nullable(4, assignment),
  configs: textMap(5),
  isInternal: field(6, boolean),
});

type CreatePartitions = Extract<AdminCommand, { kind: 'createPartitions' }>;

const adminCommand = known(
  oneOf<AdminCommand>({
    createTopics: field(1, message({ topics: repeated(1, newTopic), validateOnly: field(2, boolean) })),
    deleteTopics: field(2, message({ topicIds: repeated(1, topicIdType) })),
    createPartitions: field(
      3,
      message({
        topics: repeated(
          1,
          message<CreatePartitions['topics'][number]>({
            name: field(1, text),
            total: field(2, signed),
            assignment: nullable(3, assignment),
          }),
        ),
        validateOnly: field(2, boolean),
      }),
    ),
    electLeaders: field(4, message({ election: field(1, election), partitions: nullable(2, listOf(partitionRef)) })),
  }),
);

interface ItemResultFields {
  readonly fault: Fault | null;
  readonly topic: Omit<Extract<AdminItemResult, { fault: null }>, 'fault'> | null;
}

const adminItemResult = mapped<ItemResultFields, AdminItemResult>(
  message<ItemResultFields>({
    fault: nullable(1, faultType),
    topic: nullable(
      2,
      message({
        topicId: field(1, topicIdType),
        partitions: field(2, unsigned),
        replicationFactor: field(3, unsigned),
      }),
    ),
  }),
  ({ fault, topic }) => {
    if (fault !== null) return { fault };
    if (topic === null) throw new ProtobufError('a result that is neither a fault nor a topic');
    return { fault: null, ...topic };
  },
  (result) => {
    if (result.fault !== null) return { fault: result.fault, topic: null };
    const { fault: _, ...topic } = result;
    return { fault: null, topic };
  },
);

const adminAnswer = known(
  oneOf<AdminAnswer>({
    refused: field(1, message({ fault: field(1, faultType) })),
    done: field(2, message({ results: repeated(1, adminItemResult), revision: field(2, revisionType) })),
  }),
);

const replicaState = message<ReplicaState>({
  lastEpoch: field(1, leaderEpochType),
  logEndOffset: field(2, offsetType),
});

/** A list with gaps: each item a message whose one field may be absent. */
const replicaStateOrNone: FieldType<ReplicaState | null> = mapped(
  message<{ readonly state: ReplicaState | null }>({ state: nullable(1, replicaState) }),
  ({ state }) => state,
  (state) => ({ state }),
);

/** A message of a newer broker decodes as null and is passed over. */
export const brokerMessage: MessageType<BrokerMessage | null> = oneOf<BrokerMessage>({
  register: field(1, message({ registration: field(1, registration) })),
  heartbeat: field(
    2,
    message({
      sequence: field(1, unsigned),
      brokerId: field(2, brokerIdType),
      incarnation: field(3, text),
      brokerEpoch: field(4, brokerEpochType),
      appliedRevision: field(5, revisionType),
      isCaughtUp: field(6, boolean),
      wantsShutdown: field(7, boolean),
      wallMs: field(8, double),
    }),
  ),
  alterPartition: field(
    3,
    message({
      requestId: field(1, unsigned),
      brokerId: field(2, brokerIdType),
      brokerEpoch: field(3, brokerEpochType),
      proposals: repeated(4, isrProposal),
    }),
  ),
  admin: field(4, message({ requestId: field(1, unsigned), command: field(2, adminCommand) })),
  goodbye: field(5, message({ brokerId: field(1, brokerIdType), brokerEpoch: field(2, brokerEpochType) })),
  probed: field(6, message({ brokerId: field(1, brokerIdType), outcome: field(2, dialOutcome) })),
  replicaStates: field(7, message({ requestId: field(1, unsigned), states: repeated(2, replicaStateOrNone) })),
});

/** A message of a newer controller decodes as null and is passed over. */
export const controllerMessage: MessageType<ControllerMessage | null> = oneOf<ControllerMessage>({
  registered: field(1, message({ brokerEpoch: field(1, brokerEpochType), revision: field(2, revisionType) })),
  registrationRefused: field(2, message({ fault: field(1, faultType) })),
  heartbeatAnswer: field(
    3,
    message({
      sequence: field(1, unsigned),
      controllerEpoch: field(2, revisionType),
      state: field(3, brokerState),
      leadersLeft: field(4, unsigned),
      wallMs: field(5, double),
      proofAgeMs: field(6, double),
    }),
  ),
  alterPartitionAnswer: field(4, message({ requestId: field(1, unsigned), answers: repeated(2, isrAnswer) })),
  adminAnswer: field(5, message({ requestId: field(1, unsigned), answer: field(2, adminAnswer) })),
  probe: field(6, message({ brokerId: field(1, brokerIdType), endpoint: field(2, endpoint) })),
  askReplicaStates: field(7, message({ requestId: field(1, unsigned), partitions: repeated(2, partitionRef) })),
  notController: nothing(8) as Field<object>,
});
