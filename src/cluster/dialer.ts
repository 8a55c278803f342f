/**
 * Does anybody listen there? One raw TCP connection, closed at once (§2.3 E1, E2). A refusal says that the process is
 * gone; silence, an unreachable network or a name server that does not answer say nothing.
 */
import type { Dialer } from '../controller/control-channel.ts';
import type { DialOutcome } from '../controller/control-messages.ts';
import type { ConnectionHandlers, Network } from '../env/network.ts';
import type { Endpoint } from '../model/metadata-schema.ts';

const ignored: ConnectionHandlers = { onData() {}, onClose() {} };

/** EAI_AGAIN, a name server in trouble, is not here: it says nothing about the name. */
const outcomeOf: Readonly<Record<string, DialOutcome>> = {
  ECONNREFUSED: 'refused',
  // Accepted, and closed before we could: somebody was there.
  ECONNRESET: 'accepted',
  ENOTFOUND: 'noSuchName',
};

export class NetworkDialer implements Dialer {
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  async dial({ host, port }: Endpoint, timeLimitMs: number): Promise<DialOutcome> {
    try {
      const connection = await this.#network.connect(
        { host, port, timeoutMs: timeLimitMs, highWaterMarkBytes: 16_384 },
        () => ignored,
      );
      connection.destroy();
      return 'accepted';
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      return outcomeOf[code] ?? 'silent';
    }
  }
}
