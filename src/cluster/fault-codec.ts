/**
 * How does a refusal travel between brokers? As its code and its facts (`Fault` in `proto/cordwood/control.proto`): one
 * flat message with a field for every fact that any fault has, of which each code uses its own.
 */
import { brokerId, leaderEpoch, offset } from '../model/brands.ts';
import type { Fault, PeerFault } from '../model/fault.ts';
import { ProtobufError } from './protobuf.ts';
import {
  branded,
  type FieldType,
  field,
  mapped,
  message,
  nullable,
  repeated,
  signed,
  text,
  unsigned,
} from './protobuf-message.ts';

interface RecordError {
  readonly index: number;
  readonly reason: string;
}

type PeerFaultCode = PeerFault['code'];
type FactsIn<AFault> = AFault extends PeerFault ? Exclude<keyof AFault, 'code'> : never;
type FactOf<AFault, Name> = AFault extends PeerFault ? (Name extends keyof AFault ? AFault[Name] : never) : never;
type FactName = FactsIn<PeerFault>;

/** Every fact of every fault, null where a fault does not have it. A new fact needs a field below, or nothing compiles. */
type FaultFacts = {
  readonly [Name in Exclude<FactName, 'recordErrors'>]: FactOf<PeerFault, Name> | null;
} & { readonly recordErrors: readonly RecordError[] };

/** The facts of each code. A code without its row does not compile. */
const factsOf: {
  readonly [Code in PeerFaultCode]: { readonly [Name in FactsIn<Extract<PeerFault, { code: Code }>>]: true };
} = {
  UNKNOWN_TOPIC_OR_PARTITION: {},
  UNKNOWN_TOPIC_ID: {},
  LEADER_NOT_AVAILABLE: {},
  NOT_LEADER: { leaderId: true, leaderEpoch: true },
  FENCED_LEADER_EPOCH: { leaderId: true, leaderEpoch: true },
  UNKNOWN_LEADER_EPOCH: {},
  OFFSET_OUT_OF_RANGE: { asked: true, logStartOffset: true, logEndOffset: true },
  OFFSET_NOT_AVAILABLE: {},
  SEGMENT_CORRUPT: { file: true, position: true, reason: true },
  STORAGE: { reason: true },
  CORRUPT_MESSAGE: { reason: true },
  INVALID_RECORD: { reason: true, recordErrors: true },
  INVALID_TIMESTAMP: { reason: true },
  MESSAGE_TOO_LARGE: { reason: true },
  RECORD_LIST_TOO_LARGE: { reason: true },
  UNSUPPORTED_COMPRESSION_TYPE: {},
  UNSUPPORTED_FOR_MESSAGE_FORMAT: {},
  OUT_OF_ORDER_SEQUENCE_NUMBER: { reason: true },
  INVALID_PRODUCER_EPOCH: { reason: true },
  INVALID_TXN_STATE: { reason: true },
  NOT_ENOUGH_REPLICAS: {},
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: {},
  REQUEST_TIMED_OUT: {},
  INVALID_REQUIRED_ACKS: {},
  TOPIC_ALREADY_EXISTS: { reason: true },
  INVALID_TOPIC: { reason: true },
  INVALID_PARTITIONS: { reason: true },
  INVALID_REPLICATION_FACTOR: { reason: true },
  INVALID_REPLICA_ASSIGNMENT: { reason: true },
  INVALID_CONFIG: { reason: true },
  INVALID_REQUEST: { reason: true },
  POLICY_VIOLATION: { reason: true },
  UNSUPPORTED_VERSION: { reason: true },
  TOPIC_DELETION_DISABLED: {},
  ELECTION_NOT_NEEDED: {},
  ELIGIBLE_LEADERS_NOT_AVAILABLE: {},
  NOT_CONTROLLER: {},
  INELIGIBLE_REPLICA: {},
  OPERATION_NOT_ATTEMPTED: {},
  INVALID_UPDATE_VERSION: {},
  STALE_BROKER_EPOCH: {},
  DUPLICATE_BROKER_ID: { reason: true },
  FETCH_SESSION_ID_NOT_FOUND: {},
  INVALID_FETCH_SESSION_EPOCH: {},
  FETCH_SESSION_TOPIC_ID_ERROR: {},
  COORDINATOR_NOT_AVAILABLE: {},
  COORDINATOR_LOAD_IN_PROGRESS: {},
  NOT_COORDINATOR: {},
};

const offsetType = branded(unsigned, offset);
const recordError = message<RecordError>({ index: field(1, unsigned), reason: field(2, text) });
const faultMessage = message<FaultFacts & { readonly code: string }>({
  code: field(1, text),
  leaderId: nullable(2, branded(signed, brokerId)),
  leaderEpoch: nullable(3, branded(signed, leaderEpoch)),
  asked: nullable(4, offsetType),
  logStartOffset: nullable(5, offsetType),
  logEndOffset: nullable(6, offsetType),
  file: nullable(7, text),
  position: nullable(8, unsigned),
  reason: nullable(9, text),
  recordErrors: repeated(10, recordError),
});

function toFacts(fault: Fault): FaultFacts & { readonly code: string } {
  const facts = fault as Partial<FaultFacts>;
  return {
    code: fault.code,
    leaderId: facts.leaderId ?? null,
    leaderEpoch: facts.leaderEpoch ?? null,
    asked: facts.asked ?? null,
    logStartOffset: facts.logStartOffset ?? null,
    logEndOffset: facts.logEndOffset ?? null,
    file: facts.file ?? null,
    position: facts.position ?? null,
    reason: facts.reason ?? null,
    recordErrors: facts.recordErrors ?? [],
  };
}

function toFault(facts: FaultFacts & { readonly code: string }): Fault {
  if (!Object.hasOwn(factsOf, facts.code)) {
    // A newer broker's code: nothing here could tell what to do about it, and the user still learns its name.
    return { code: 'INVALID_REQUEST', reason: `${facts.code}${facts.reason === null ? '' : `: ${facts.reason}`}` };
  }
  const fault: Record<string, unknown> = { code: facts.code };
  for (const name of Object.keys(factsOf[facts.code as PeerFaultCode]) as FactName[]) {
    // The one fact that its fault may leave out.
    if (name === 'recordErrors' && facts.recordErrors.length === 0) continue;
    if (facts[name] === null) throw new ProtobufError(`${facts.code} without ${name}`);
    fault[name] = facts[name];
  }
  return fault as unknown as Fault;
}

export const faultType: FieldType<Fault> = mapped(faultMessage, toFault, toFacts);
