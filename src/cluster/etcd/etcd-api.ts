/**
 * Which calls of etcd do we make, and what do their messages look like in TypeScript? Shapes as proto-loader makes them
 * of `proto/etcd.proto`: 64-bit numbers are text (a lease's id does not fit a number), keys and values are bytes.
 */
import { fileURLToPath } from 'node:url';
import type { MethodDefinition } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { present } from '../../model/assert.ts';

export interface ResponseHeader {
  readonly clusterId: string;
  readonly revision: string;
}
interface Answer {
  readonly header: ResponseHeader | null;
}

export interface EtcdKeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly modRevision: string;
}

export interface RangeRequest {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  readonly limit?: number;
  readonly revision?: number;
}
export interface RangeResponse extends Answer {
  readonly kvs: readonly EtcdKeyValue[];
  readonly more: boolean;
}

export interface EtcdCompare {
  readonly result: 'EQUAL';
  readonly target: 'MOD';
  readonly key: Buffer;
  readonly modRevision: number;
}
export type RequestOp =
  | { readonly requestPut: { readonly key: Buffer; readonly value: Buffer; readonly lease?: string } }
  | { readonly requestDeleteRange: { readonly key: Buffer } };
export interface TxnRequest {
  readonly compare: readonly EtcdCompare[];
  readonly success: readonly RequestOp[];
}
export interface TxnResponse extends Answer {
  readonly succeeded: boolean;
}

export interface EtcdEvent {
  readonly type: 'PUT' | 'DELETE';
  readonly kv: EtcdKeyValue | null;
}
export type WatchRequest =
  | {
      readonly createRequest: {
        readonly key: Buffer;
        readonly rangeEnd: Buffer;
        readonly startRevision: number;
        readonly fragment: boolean;
        readonly progressNotify: boolean;
      };
    }
  | { readonly progressRequest: Record<string, never> };
export interface WatchResponse extends Answer {
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: string;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly EtcdEvent[];
}

export interface LeaseGrantResponse extends Answer {
  readonly ID: string;
  /** Seconds. */
  readonly TTL: string;
}
export interface LeaseKeepAliveResponse extends Answer {
  /** 0 where the lease is gone. */
  readonly TTL: string;
}

export interface StatusResponse extends Answer {
  readonly version: string;
  /** '0' where the member knows of no leader. */
  readonly leader: string;
}

export interface EtcdApi {
  readonly range: MethodDefinition<RangeRequest, RangeResponse>;
  readonly txn: MethodDefinition<TxnRequest, TxnResponse>;
  readonly compact: MethodDefinition<{ readonly revision: number; readonly physical: boolean }, Answer>;
  readonly watch: MethodDefinition<WatchRequest, WatchResponse>;
  readonly leaseGrant: MethodDefinition<{ readonly TTL: number }, LeaseGrantResponse>;
  readonly leaseRevoke: MethodDefinition<{ readonly ID: string }, Answer>;
  readonly leaseKeepAlive: MethodDefinition<{ readonly ID: string }, LeaseKeepAliveResponse>;
  readonly status: MethodDefinition<Record<string, never>, StatusResponse>;
}

/** Beside `src/` and beside `dist/`. */
const protoFile = fileURLToPath(new URL('../../../proto/etcd.proto', import.meta.url));

export async function loadEtcdApi(): Promise<EtcdApi> {
  const definitions = await load(protoFile, { longs: String, enums: String, defaults: true, arrays: true });
  const method = <Request, Response>(service: string, name: string): MethodDefinition<Request, Response> => {
    const methods = present(definitions[`etcdserverpb.${service}`], `${service} is in etcd.proto`);
    return (methods as unknown as Record<string, MethodDefinition<Request, Response>>)[name] as never;
  };
  return {
    range: method('KV', 'Range'),
    txn: method('KV', 'Txn'),
    compact: method('KV', 'Compact'),
    watch: method('Watch', 'Watch'),
    leaseGrant: method('Lease', 'LeaseGrant'),
    leaseRevoke: method('Lease', 'LeaseRevoke'),
    leaseKeepAlive: method('Lease', 'LeaseKeepAlive'),
    status: method('Maintenance', 'Status'),
  };
}
