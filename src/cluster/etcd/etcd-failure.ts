/** What does an error of a call to etcd mean: who should be asked next, and may the request have been carried out? */
import type { ServiceError } from '@grpc/grpc-js';
import { grpcLibrary } from '../grpc-library.ts';

export type EtcdFailure =
  /** This member, or this moment: another member, or the same one later, may answer. */
  | { readonly kind: 'away'; readonly reason: string; readonly outcomeUnknown: boolean }
  | { readonly kind: 'leaseNotFound' }
  | { readonly kind: 'compacted' }
  | { readonly kind: 'futureRevision' }
  /** The same request will be refused again. */
  | { readonly kind: 'refused'; readonly reason: string };

/** etcd's own texts (api/v3rpc/rpctypes/error.go): refused before the request became a proposal. */
const notProposed = ['etcdserver: no leader', 'etcdserver: too many requests', 'etcdserver: not capable'];

export function etcdFailure(error: ServiceError): EtcdFailure {
  const { status } = grpcLibrary();
  const reason = error.details || error.message;
  switch (error.code) {
    case status.NOT_FOUND:
      return reason.includes('lease not found') ? { kind: 'leaseNotFound' } : { kind: 'refused', reason };
    case status.OUT_OF_RANGE:
      return reason.includes('compacted') ? { kind: 'compacted' } : { kind: 'futureRevision' };
    case status.INVALID_ARGUMENT:
    case status.UNIMPLEMENTED:
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
    case status.FAILED_PRECONDITION:
      return { kind: 'refused', reason };
    case status.RESOURCE_EXHAUSTED:
      // Space exceeded is an alarm that an operator clears, too many requests passes by itself.
      return { kind: 'away', reason, outcomeUnknown: false };
    default:
      return { kind: 'away', reason, outcomeUnknown: !notProposed.some((text) => reason.includes(text)) };
  }
}
