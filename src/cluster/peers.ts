/** What a broker needs to meet others, loaded as one: a process that is its whole cluster never asks for it. */
export { GrpcControlClient } from './control-grpc.ts';
export { NetworkDialer } from './dialer.ts';
export { PeerServer } from './peer-server.ts';
export { GrpcReplicationClient } from './replication-grpc.ts';
