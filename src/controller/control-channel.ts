/** The transport that the control protocol needs; `cluster/` implements it over gRPC, the simulation over its network. */
import type { Endpoint } from '../model/metadata-schema.ts';
import type { BrokerMessage, ControllerMessage, DialOutcome } from './control-messages.ts';

/** peerClosed: its kernel closed the stream (FIN or RST), which a crash does too · lost: our own time limit, or any other reason. */
export type CloseCause = 'peerClosed' | 'lost';

/** The controller's end of one broker's stream. */
export interface ControlPeer {
  /** Never the same for two streams of one process. */
  readonly streamId: number;
  send(message: ControllerMessage): void;
  close(): void;
}

/** Whoever serves control streams: every broker's server hands them here, controller or not (those who are not answer notController). */
export interface ControlServerHandler {
  onOpened(peer: ControlPeer): void;
  onMessage(peer: ControlPeer, message: BrokerMessage): void;
  onClosed(peer: ControlPeer, cause: CloseCause): void;
}

/** The broker's end. */
export interface ControlStream {
  send(message: BrokerMessage): void;
  close(): void;
}

export interface ControlStreamHandler {
  onMessage(message: ControllerMessage): void;
  onClosed(cause: CloseCause): void;
}

export interface ControlClient {
  /** Opens a stream on a connection of its own; failure to connect is `onClosed`. */
  connect(controller: Endpoint, handler: ControlStreamHandler): ControlStream;
}

export interface Dialer {
  /** One raw TCP connection to see whether somebody listens; closed at once. */
  dial(endpoint: Endpoint, timeLimitMs: number): Promise<DialOutcome>;
}
