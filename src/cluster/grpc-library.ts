/**
 * When is gRPC loaded? At the first connection or listener that needs it: loading takes some 25 ms, which a process of
 * one broker never spends. It is a CommonJS package, so it can be had at once, without making every caller wait.
 */
import { createRequire } from 'node:module';

type GrpcLibrary = typeof import('@grpc/grpc-js');

let library: GrpcLibrary | null = null;

export function grpcLibrary(): GrpcLibrary {
  library ??= createRequire(import.meta.url)('@grpc/grpc-js') as GrpcLibrary;
  return library;
}
