/**
 * Registration of brokers (`replication-invariants` §2.2.4, I5, T3): who gets which broker epoch, and when.
 *
 *   the record of this id      | the newcomer
 *   none                       | T3
 *   same incarnation           | the same answer again
 *   another incarnation, alive | refused: duplicate broker id
 *   another incarnation, gone  | fence it → out of every leader seat and ISR (ELR too if lossy) → T3, state FENCED
 *
 * A newcomer is evidence against its predecessor (§2.3 E1), but not proof: two processes may be configured with one
 * id. The predecessor is alive if it goes on with its heartbeats; it is gone if its stream is, and nobody (or the
 * newcomer) listens at its address.
 */
import { type BrokerId, brokerEpoch, noRevision } from '../model/brands.ts';
import { type BrokerRecord, encodeValue, keys } from '../model/metadata-schema.ts';
import type { DialOutcome, Registration } from './control-messages.ts';
import type { ControllerContext } from './controller-context.ts';
import type { PartitionKeeper } from './partition-keeper.ts';

interface Newcomer {
  readonly registration: Registration;
  readonly streamId: number;
  readonly sinceMs: number;
  /** How a dial to the predecessor ended; null while none has. */
  dialed: DialOutcome | null;
  dialId: number | null;
  /** The predecessor is known to be gone: what follows is writing. */
  isCleared: boolean;
}

export interface BrokerRegistryActions {
  dial(brokerId: BrokerId, endpoint: BrokerRecord['peer']): number;
  fence(brokerId: BrokerId, record: BrokerRecord, reason: string): void;
}

export class BrokerRegistry {
  readonly #context: ControllerContext;
  readonly #keeper: PartitionKeeper;
  readonly #actions: BrokerRegistryActions;
  readonly #newcomers = new Map<BrokerId, Newcomer>();

  constructor(context: ControllerContext, keeper: PartitionKeeper, actions: BrokerRegistryActions) {
    this.#context = context;
    this.#keeper = keeper;
    this.#actions = actions;
  }

  onRegister(streamId: number, registration: Registration): void {
    const { brokerId, incarnation } = registration;
    const known = this.#newcomers.get(brokerId);
    // Repeated on another stream: what was found out about the predecessor stays true.
    const isRepeat = known?.registration.incarnation === incarnation;
    this.#newcomers.set(
      brokerId,
      isRepeat
        ? { ...known, registration, streamId }
        : { registration, streamId, sinceMs: this.#context.nowMs, dialed: null, dialId: null, isCleared: false },
    );
  }

  onStreamClosed(streamId: number): void {
    for (const [id, newcomer] of this.#newcomers) if (newcomer.streamId === streamId) this.#newcomers.delete(id);
  }

  onDialed(dialId: number, outcome: DialOutcome): void {
    for (const newcomer of this.#newcomers.values()) if (newcomer.dialId === dialId) newcomer.dialed = outcome;
  }

  pump(): void {
    for (const newcomer of [...this.#newcomers.values()]) this.#advance(newcomer);
  }

  #advance(newcomer: Newcomer): void {
    const { view } = this.#context;
    const { brokerId, incarnation, stopKind } = newcomer.registration;
    if (view.isTaken(keys.broker(brokerId))) return;
    const predecessor = view.broker(brokerId)?.record;
    if (predecessor?.incarnation === incarnation) return this.#answer(newcomer, predecessor);
    if (predecessor && !newcomer.isCleared) {
      const verdict = this.#judgePredecessor(newcomer, predecessor);
      if (verdict === 'alive') return this.#refuse(newcomer, predecessor);
      if (verdict === 'unknown') return;
      newcomer.isCleared = true;
    }
    if (predecessor && predecessor.state !== 'fenced')
      return this.#actions.fence(brokerId, predecessor, 'a new incarnation of it registers');
    if (predecessor && stopKind === 'lossy') this.#keeper.becomeLossy(brokerId, incarnation);
    if (predecessor && this.#keeper.isStillNamed(brokerId)) return;
    this.#write(newcomer);
  }

  #judgePredecessor(newcomer: Newcomer, predecessor: BrokerRecord): 'alive' | 'gone' | 'unknown' {
    const { liveness, nowMs, options } = this.#context;
    const { brokerId, peer } = newcomer.registration;
    const waitedMs = nowMs - newcomer.sinceMs;
    if (liveness.streamOf(brokerId) !== null) {
      const heardForMs = liveness.lastHeardMs(brokerId) - newcomer.sinceMs;
      // Longer than anything its dead process could have left in the network.
      if (heardForMs >= options.suspectAfterMs / 2) return 'alive';
      return waitedMs - Math.max(heardForMs, 0) >= options.suspectAfterMs ? 'gone' : 'unknown';
    }
    // Only one process can listen there, and the newcomer does.
    const isSameAddress = peer.host === predecessor.peer.host && peer.port === predecessor.peer.port;
    if (isSameAddress || predecessor.state === 'fenced') return 'gone';
    if (newcomer.dialed !== null && newcomer.dialed !== 'accepted') return 'gone';
    newcomer.dialId ??= this.#actions.dial(brokerId, predecessor.peer);
    return waitedMs >= options.fenceAfterMs ? 'gone' : 'unknown';
  }

  /** T3: a new broker epoch from the counter, state FENCED until it has caught up. */
  #write(newcomer: Newcomer): void {
    const { view } = this.#context;
    if (view.isTaken(keys.nextBrokerEpoch)) return;
    const { brokerId, incarnation, listeners, peer, rack, directories } = newcomer.registration;
    const seen = view.broker(brokerId);
    const next = view.nextBrokerEpoch();
    const record: BrokerRecord = {
      brokerEpoch: brokerEpoch(next.record),
      incarnation,
      state: 'fenced',
      listeners,
      peer,
      rack,
      directories,
    };
    this.#context.transact(
      [
        { key: keys.broker(brokerId), modRevision: seen?.modRevision ?? noRevision },
        { key: keys.nextBrokerEpoch, modRevision: next.modRevision },
      ],
      [
        { kind: 'put', key: keys.broker(brokerId), value: encodeValue(record) },
        { kind: 'put', key: keys.nextBrokerEpoch, value: encodeValue(next.record + 1) },
      ],
      ({ isDone }) => {
        if (!isDone) return;
        this.#context.log('info', { brokerId, brokerEpoch: record.brokerEpoch, rack }, 'broker registered');
        // Whoever asked last on behalf of this incarnation; if its stream is gone it asks again and is told then.
        const asking = this.#newcomers.get(brokerId);
        if (asking?.registration.incarnation === incarnation) this.#answer(asking, record);
      },
    );
  }

  #answer({ streamId, registration }: Newcomer, record: BrokerRecord): void {
    const { view, liveness, nowMs } = this.#context;
    this.#newcomers.delete(registration.brokerId);
    liveness.heard(registration.brokerId, record.brokerEpoch, streamId, nowMs);
    const revision = view.broker(registration.brokerId)?.modRevision ?? noRevision;
    this.#context.send(streamId, { kind: 'registered', brokerEpoch: record.brokerEpoch, revision });
  }

  #refuse({ streamId, registration }: Newcomer, predecessor: BrokerRecord): void {
    const { brokerId } = registration;
    this.#newcomers.delete(brokerId);
    const reason = `a running broker at ${predecessor.peer.host}:${predecessor.peer.port} has the id ${brokerId} already`;
    this.#context.log('warn', { brokerId, refused: registration.peer }, 'a second broker with the same id was refused');
    this.#context.send(streamId, { kind: 'registrationRefused', fault: { code: 'DUPLICATE_BROKER_ID', reason } });
  }
}
