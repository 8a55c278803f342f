/**
 * Does anybody listen there? A raw TCP connection that is looked at for a moment and closed (§2.3 E1, E2). A refusal says
 * that the process is gone; silence, an unreachable network or a name server that does not answer say nothing.
 *
 * The moment matters. The kernel of a killed process closes its streams one after the other, the listener among them:
 * measured, two dials in ten that follow the end of a stream at once are still accepted, and reset right after. So a
 * connection that the other end closes by itself is no answer yet, and the dial is made again.
 */
import type { Dialer } from '../controller/control-channel.ts';
import type { DialOutcome } from '../controller/control-messages.ts';
import type { Clock, Timers } from '../env/clock.ts';
import type { Network } from '../env/network.ts';
import { pause } from '../env/pause.ts';
import type { Endpoint } from '../model/metadata-schema.ts';

/** How long a connection must last to count, and how long to wait before the next one. A living broker keeps it for seconds. */
const lookMs = 20;
const pauseMs = 5;

/** EAI_AGAIN, a name server in trouble, is not here: it says nothing about the name. */
const outcomeOf: Readonly<Record<string, DialOutcome>> = { ECONNREFUSED: 'refused', ENOTFOUND: 'noSuchName' };

export interface DialerModules {
  readonly network: Network;
  readonly clock: Clock;
  readonly timers: Timers;
}

export class NetworkDialer implements Dialer {
  readonly #modules: DialerModules;

  constructor(modules: DialerModules) {
    this.#modules = modules;
  }

  async dial(endpoint: Endpoint, timeLimitMs: number): Promise<DialOutcome> {
    const { clock } = this.#modules;
    const deadlineMs = clock.monotonicMs() + timeLimitMs;
    for (;;) {
      const outcome = await this.#dialOnce(endpoint, Math.max(1, deadlineMs - clock.monotonicMs()));
      if (outcome !== 'closedAtOnce') return outcome;
      // It is closed again and again: somebody is there to do it.
      if (clock.monotonicMs() + pauseMs >= deadlineMs) return 'accepted';
      await pause(this.#modules.timers, pauseMs);
    }
  }

  async #dialOnce({ host, port }: Endpoint, timeoutMs: number): Promise<DialOutcome | 'closedAtOnce'> {
    let onClosed = (): void => undefined;
    const closed = new Promise<'closedAtOnce'>((resolve) => {
      onClosed = () => resolve('closedAtOnce');
    });
    try {
      const connection = await this.#modules.network.connect(
        { host, port, timeoutMs, highWaterMarkBytes: 16_384 },
        () => ({
          onData() {},
          onEnd: onClosed,
          onClose: onClosed,
        }),
      );
      const outcome = await Promise.race([closed, pause(this.#modules.timers, lookMs).then(() => 'accepted' as const)]);
      connection.destroy();
      return outcome;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      return code === 'ECONNRESET' ? 'closedAtOnce' : (outcomeOf[code] ?? 'silent');
    }
  }
}
