/**
 * How does a refusal travel between brokers? As its code and its facts (`Fault` in `proto/cordwood/control.proto`): one
 * flat message with a field for every fact that any fault has, of which each code uses its own.
 */
import { type BrokerId, brokerId, type LeaderEpoch, leaderEpoch, type Offset, offset } from '../model/brands.ts';
import type { Fault, FaultCode, FaultOf } from '../model/fault.ts';
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

/** Every fact of every fault, null where a fault does not have it. */
interface FaultFacts {
  readonly leaderId: BrokerId | null;
  readonly leaderEpoch: LeaderEpoch | null;
  readonly asked: Offset | null;
  readonly logStartOffset: Offset | null;
  readonly logEndOffset: Offset | null;
  readonly file: string | null;
  readonly position: number | null;
  readonly reason: string | null;
  readonly recordErrors: readonly RecordError[];
}

type FactName = keyof FaultFacts;
type FactsOf<Code extends FaultCode> = Exclude<keyof FaultOf<Code>, 'code'>;

/** The facts of each code. A code without its row does not compile. */
const factsOf: { readonly [Code in FaultCode]: readonly (FactsOf<Code> & FactName)[] } = {
  UNKNOWN_TOPIC_OR_PARTITION: [],
  UNKNOWN_TOPIC_ID: [],
  LEADER_NOT_AVAILABLE: [],
  NOT_LEADER: ['leaderId', 'leaderEpoch'],
  FENCED_LEADER_EPOCH: ['leaderId', 'leaderEpoch'],
  UNKNOWN_LEADER_EPOCH: [],
  OFFSET_OUT_OF_RANGE: ['asked', 'logStartOffset', 'logEndOffset'],
  OFFSET_NOT_AVAILABLE: [],
  SEGMENT_CORRUPT: ['file', 'position', 'reason'],
  STORAGE: ['reason'],
  CORRUPT_MESSAGE: ['reason'],
  INVALID_RECORD: ['reason', 'recordErrors'],
  INVALID_TIMESTAMP: ['reason'],
  MESSAGE_TOO_LARGE: ['reason'],
  RECORD_LIST_TOO_LARGE: ['reason'],
  UNSUPPORTED_COMPRESSION_TYPE: [],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: [],
  OUT_OF_ORDER_SEQUENCE_NUMBER: ['reason'],
  INVALID_PRODUCER_EPOCH: ['reason'],
  INVALID_TXN_STATE: ['reason'],
  NOT_ENOUGH_REPLICAS: [],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [],
  REQUEST_TIMED_OUT: [],
  INVALID_REQUIRED_ACKS: [],
  TOPIC_ALREADY_EXISTS: ['reason'],
  INVALID_TOPIC: ['reason'],
  INVALID_PARTITIONS: ['reason'],
  INVALID_REPLICATION_FACTOR: ['reason'],
  INVALID_REPLICA_ASSIGNMENT: ['reason'],
  INVALID_CONFIG: ['reason'],
  INVALID_REQUEST: ['reason'],
  POLICY_VIOLATION: ['reason'],
  UNSUPPORTED_VERSION: ['reason'],
  ELECTION_NOT_NEEDED: [],
  ELIGIBLE_LEADERS_NOT_AVAILABLE: [],
  NOT_CONTROLLER: [],
  INELIGIBLE_REPLICA: [],
  OPERATION_NOT_ATTEMPTED: [],
  INVALID_UPDATE_VERSION: [],
  STALE_BROKER_EPOCH: [],
  DUPLICATE_BROKER_ID: ['reason'],
  FETCH_SESSION_ID_NOT_FOUND: [],
  INVALID_FETCH_SESSION_EPOCH: [],
  FETCH_SESSION_TOPIC_ID_ERROR: [],
  COORDINATOR_NOT_AVAILABLE: [],
  COORDINATOR_LOAD_IN_PROGRESS: [],
  NOT_COORDINATOR: [],
};

/** Facts that their fault may leave out. */
const mayBeMissing: ReadonlySet<FactName> = new Set(['recordErrors', 'leaderId']);

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
  for (const name of factsOf[facts.code as FaultCode] as readonly FactName[]) {
    const fact = facts[name];
    if (fact === null && !mayBeMissing.has(name)) throw new ProtobufError(`${facts.code} without ${name}`);
    if (name === 'recordErrors' && facts.recordErrors.length === 0) continue;
    fault[name] = fact;
  }
  return fault as unknown as Fault;
}

export const faultType: FieldType<Fault> = mapped(faultMessage, toFault, toFacts);
