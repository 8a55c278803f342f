/**
 * Which calls of etcd do we make, and what do their messages look like? Described once, for both directions, with
 * the names and numbers of `proto/etcd.proto`; a test compares the two through protobufjs. (Loading proto-loader and
 * that file takes 80 ms of a start.) Zero values and absent fields are one thing in proto3, so what we never set
 * (`serializable`, `compare.result` EQUAL = 0, …) is not described.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import { bytesWire, varintWire } from '../protobuf.ts';
import {
  boolean,
  type FieldType,
  field,
  type MessageType,
  mapped,
  message,
  nullable,
  repeated,
  text,
  unsigned,
} from '../protobuf-message.ts';

const bytes: FieldType<Buffer> = {
  wireType: bytesWire,
  write: (writer, value) => writer.delimited(value),
  read: (reader) => reader.delimited(),
  absent: () => Buffer.alloc(0),
};

const wide: FieldType<bigint> = {
  wireType: varintWire,
  write: (writer, value) => writer.wideVarint(value),
  read: (reader) => reader.wideVarint(),
  absent: () => 0n,
};
/** A 64-bit id, as decimal text: a lease's, a cluster's. */
const id = mapped<bigint, string>(wide, String, BigInt);
/** `int64` that may be negative where something is wrong. */
const signedNumber = mapped<bigint, number>(wide, (value) => Number(BigInt.asIntN(64, value)), BigInt);

export interface ResponseHeader {
  readonly clusterId: string;
  /** The store's revision when the answer was made. Of a watch it is not where the watch has got to. */
  readonly revision: number;
}
const header = nullable(1, message<ResponseHeader>({ clusterId: field(1, id), revision: field(3, unsigned) }));
interface Answer {
  readonly header: ResponseHeader | null;
}
const answer = message<Answer>({ header });

export interface EtcdKeyValue {
  readonly key: Buffer;
  readonly modRevision: number;
  readonly value: Buffer;
}
const keyValue = message<EtcdKeyValue>({
  key: field(1, bytes),
  modRevision: field(3, unsigned),
  value: field(5, bytes),
});

export interface RangeRequest {
  readonly key: Buffer;
  /** Exclusive. */
  readonly rangeEnd: Buffer;
  readonly limit: number;
  /** 0 means the newest. */
  readonly revision: number;
}
export interface RangeResponse extends Answer {
  readonly kvs: readonly EtcdKeyValue[];
  readonly more: boolean;
}

/** `result` is EQUAL. */
export interface EtcdCompare {
  readonly target: number;
  readonly key: Buffer;
  readonly modRevision: number;
}
/** `Compare.CompareTarget.MOD`. */
export const modRevisionTarget = 2;

/** One of the two. */
export interface RequestOp {
  /** Lease '0' is none. */
  readonly requestPut: { readonly key: Buffer; readonly value: Buffer; readonly lease: string } | null;
  readonly requestDeleteRange: { readonly key: Buffer } | null;
}
export interface TxnRequest {
  readonly compare: readonly EtcdCompare[];
  readonly success: readonly RequestOp[];
}
export interface TxnResponse extends Answer {
  readonly succeeded: boolean;
}

export interface EtcdEvent {
  /** `Event.EventType`: PUT = 0, DELETE = 1. */
  readonly type: boolean;
  readonly kv: EtcdKeyValue | null;
}
export interface WatchCreateRequest {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
}
/** One of the two. */
export interface WatchRequest {
  readonly createRequest: WatchCreateRequest | null;
  readonly progressRequest: object | null;
}
export interface WatchResponse extends Answer {
  readonly created: boolean;
  readonly canceled: boolean;
  /** Above 0 where the watch was cancelled because it needed what had been compacted. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  /** More of the last revision may follow in the next response. */
  readonly fragment: boolean;
  readonly events: readonly EtcdEvent[];
}

export interface LeaseGrantResponse extends Answer {
  readonly ID: string;
  /** Seconds; may be more than was asked. */
  readonly TTL: number;
}
export interface LeaseKeepAliveResponse extends Answer {
  /** 0 where the lease is gone. */
  readonly TTL: number;
}

export interface StatusResponse extends Answer {
  readonly version: string;
  /** '0' where the member knows of no leader. */
  readonly leader: string;
}

const put = message<NonNullable<RequestOp['requestPut']>>({
  key: field(1, bytes),
  value: field(2, bytes),
  lease: field(3, id),
});
const requestOp = message<RequestOp>({
  requestPut: nullable(2, put),
  requestDeleteRange: nullable(3, message({ key: field(1, bytes) })),
});
const compare = message<EtcdCompare>({
  target: field(2, unsigned),
  key: field(3, bytes),
  modRevision: field(6, unsigned),
});
const watchCreate = message<WatchCreateRequest>({
  key: field(1, bytes),
  rangeEnd: field(2, bytes),
  startRevision: field(3, unsigned),
  progressNotify: field(4, boolean),
  fragment: field(8, boolean),
});
const event = message<EtcdEvent>({ type: field(1, boolean), kv: nullable(2, keyValue) });

function method<Request, Response>(
  path: string,
  request: MessageType<Request>,
  response: MessageType<Response>,
  isStream = false,
): MethodDefinition<Request, Response> {
  return {
    path: `/etcdserverpb.${path}`,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: (value) => request.encode(value),
    requestDeserialize: (encoded) => request.decode(encoded),
    responseSerialize: (value) => response.encode(value),
    responseDeserialize: (encoded) => response.decode(encoded),
  };
}

export const etcdApi = {
  range: method(
    'KV/Range',
    message<RangeRequest>({
      key: field(1, bytes),
      rangeEnd: field(2, bytes),
      limit: field(3, unsigned),
      revision: field(4, unsigned),
    }),
    message<RangeResponse>({ header, kvs: repeated(2, keyValue), more: field(3, boolean) }),
  ),
  txn: method(
    'KV/Txn',
    message<TxnRequest>({ compare: repeated(1, compare), success: repeated(2, requestOp) }),
    message<TxnResponse>({ header, succeeded: field(2, boolean) }),
  ),
  /** Only the tests compact; operators leave it to `--auto-compaction-retention`. */
  compact: method(
    'KV/Compact',
    message<{ readonly revision: number; readonly physical: boolean }>({
      revision: field(1, unsigned),
      physical: field(2, boolean),
    }),
    answer,
  ),
  watch: method(
    'Watch/Watch',
    message<WatchRequest>({
      createRequest: nullable(1, watchCreate),
      progressRequest: nullable(3, message<object>({})),
    }),
    message<WatchResponse>({
      header,
      created: field(3, boolean),
      canceled: field(4, boolean),
      compactRevision: field(5, signedNumber),
      cancelReason: field(6, text),
      fragment: field(7, boolean),
      events: repeated(11, event),
    }),
    true,
  ),
  leaseGrant: method(
    'Lease/LeaseGrant',
    message<{ readonly TTL: number }>({ TTL: field(1, unsigned) }),
    message<LeaseGrantResponse>({ header, ID: field(2, id), TTL: field(3, signedNumber) }),
  ),
  leaseRevoke: method('Lease/LeaseRevoke', message<{ readonly ID: string }>({ ID: field(1, id) }), answer),
  leaseKeepAlive: method(
    'Lease/LeaseKeepAlive',
    message<{ readonly ID: string }>({ ID: field(1, id) }),
    message<LeaseKeepAliveResponse>({ header, TTL: field(3, signedNumber) }),
    true,
  ),
  status: method(
    'Maintenance/Status',
    message<object>({}),
    message<StatusResponse>({ header, version: field(2, text), leader: field(4, id) }),
  ),
};
