/**
 * A controller core beside a store and nothing else: transactions are carried out at once or when the test says so, the
 * watch is pulled when the test says so, and brokers are what the test makes them say.
 */
import assert from 'node:assert/strict';
import type {
  BrokerMessage,
  ControllerMessage,
  DialOutcome,
  NewTopic,
  Registration,
} from '../../../src/controller/control-messages.ts';
import { type ControlOptions, defaultControlOptions } from '../../../src/controller/control-options.ts';
import type { ControllerAction, ControllerEvent, StoreOutcome } from '../../../src/controller/controller-events.ts';
import { ControllerState } from '../../../src/controller/controller-state.ts';
import { type MetadataTxn, StoreUnavailable } from '../../../src/controller/metadata-store.ts';
import {
  type BrokerId,
  brokerEpoch,
  brokerId,
  noBrokerEpoch,
  type Revision,
  revision,
} from '../../../src/model/brands.ts';
import { ClusterImage } from '../../../src/model/cluster-image.ts';
import { type BrokerState, encodeValue, keys, type PartitionRecord } from '../../../src/model/metadata-schema.ts';
import { SimulatedStoreCore, type WatchCursor } from '../../support/simulated-store.ts';

type Transact = Extract<ControllerAction, { kind: 'transact' }>;
type Dial = Extract<ControllerAction, { kind: 'dial' }>;
export type Heartbeat = Extract<BrokerMessage, { kind: 'heartbeat' }>;

export const self = brokerId(1);
const endpointOf = (id: number, port = 9000 + id) => ({ name: 'PEER', host: '127.0.0.1', port });

export class ControllerWorld {
  readonly store: SimulatedStoreCore;
  readonly image = new ClusterImage();
  readonly options: ControlOptions;
  nowMs = 1000;
  controller: ControllerState;
  controllerEpoch: Revision = revision(0);
  /** False: transactions wait in `held` until `commit` is called. */
  isCommittingAtOnce = true;
  /** False: the image stays where it is until `watch` is called. */
  isWatching = true;
  readonly held: Transact[] = [];
  readonly dials: Dial[] = [];
  readonly sent: { streamId: number; message: ControllerMessage }[] = [];
  readonly logs: string[] = [];
  resigned: string | null = null;
  /** Revisions the controller wrote, with how many keys each. */
  readonly committed: MetadataTxn[] = [];
  #cursor: WatchCursor;
  #nextStreamId = 1;
  #nextRequestId = 1;
  #bytes = 0;
  readonly streams = new Map<number, number>();

  constructor(options: Partial<ControlOptions> = {}) {
    this.options = { ...defaultControlOptions, ...options };
    this.store = new SimulatedStoreCore(() => this.nowMs);
    this.#cursor = this.store.openWatch('', this.store.revision);
    this.controller = this.#newController();
  }

  #newController(): ControllerState {
    // Topic ids differ by a counter: nothing else is drawn.
    const bytes = (length: number): Buffer => Buffer.alloc(length, 7).fill(++this.#bytes % 256, 4);
    return new ControllerState({ brokerId: self, control: this.options }, { random: { next: () => 0.5, bytes } });
  }

  /** A new term: the key is written as a campaign would. */
  elect(knownDead: number[] = []): void {
    this.controller = this.#newController();
    this.resigned = null;
    const record = { brokerId: self, incarnation: 'i1', endpoint: endpointOf(1) };
    const mutations = [{ kind: 'put', key: keys.controller, value: encodeValue(record) }] as const;
    this.controllerEpoch = this.store.transact({ compares: [], mutations }).revision;
    this.watch();
    const { image, controllerEpoch, nowMs } = this;
    this.step({ kind: 'elected', image, controllerEpoch, knownDead: knownDead.map(brokerId), nowMs });
  }

  step(event: ControllerEvent): void {
    for (const action of this.controller.step(event)) this.#carryOut(action);
  }

  #carryOut(action: ControllerAction): void {
    if (action.kind === 'transact') {
      this.held.push(action);
      if (this.isCommittingAtOnce) this.commit();
    } else if (action.kind === 'send') this.sent.push(action);
    else if (action.kind === 'dial') this.dials.push(action);
    else if (action.kind === 'resign') this.resigned = action.reason;
    else if (action.kind === 'log') this.logs.push(action.message);
  }

  /** Carries out the oldest transaction that waits; the image follows unless it is told not to. */
  commit(): StoreOutcome {
    const next = this.held.shift();
    assert.ok(next, 'a transaction waits');
    const outcome = this.#transact(next.txn);
    if (outcome.kind === 'succeeded') this.committed.push(next.txn);
    if (this.isWatching) this.watch();
    this.step({ kind: 'txnDone', id: next.id, outcome, nowMs: this.nowMs });
    return outcome;
  }

  commitAll(): void {
    while (this.held.length > 0) this.commit();
  }

  #transact(txn: MetadataTxn): StoreOutcome {
    try {
      const { succeeded, revision: at } = this.store.transact(txn);
      return { kind: succeeded ? 'succeeded' : 'failed', revision: at };
    } catch (error) {
      if (error instanceof StoreUnavailable) return { kind: error.outcomeUnknown ? 'unknown' : 'notDone' };
      throw error;
    }
  }

  /** Somebody else's write. */
  write(...mutations: MetadataTxn['mutations']): void {
    this.store.transact({ compares: [], mutations });
    if (this.isWatching) this.watch();
  }

  watch(): void {
    for (let pull = this.#cursor.pull(); pull.kind === 'events'; pull = this.#cursor.pull()) {
      const entries = this.image.apply(pull.events.revision, pull.events.changes);
      this.step({ kind: 'metadataChanged', entries, nowMs: this.nowMs });
    }
  }

  /** Time goes on in ticks; `alive` brokers send their heartbeats and the lease is kept. */
  pass(ms: number, alive: number[] = [...this.streams.keys()], isLeaseKept = true): void {
    for (let left = ms; left > 0; left -= this.options.tickMs) {
      this.nowMs += Math.min(left, this.options.tickMs);
      if (isLeaseKept) this.step({ kind: 'leaseRenewed', renewedMs: this.nowMs, nowMs: this.nowMs });
      for (const id of alive) this.heartbeat(id);
      this.step({ kind: 'ticked', nowMs: this.nowMs });
    }
  }

  openStream(id: number): number {
    const streamId = this.#nextStreamId++;
    this.streams.set(id, streamId);
    this.step({ kind: 'streamOpened', streamId, nowMs: this.nowMs });
    return streamId;
  }

  closeStream(id: number, cause: 'peerClosed' | 'lost' = 'peerClosed'): void {
    const streamId = this.streams.get(id);
    assert.ok(streamId !== undefined);
    this.streams.delete(id);
    this.step({ kind: 'streamClosed', streamId, cause, nowMs: this.nowMs });
  }

  /** The answer to the newest dial to this broker. */
  answerDial(id: number, outcome: DialOutcome): void {
    const at = this.dials.findLastIndex((dial) => dial.brokerId === id);
    const [dial] = this.dials.splice(at, 1);
    assert.ok(at >= 0 && dial, `a dial to broker ${id}`);
    this.step({ kind: 'dialed', dialId: dial.dialId, outcome, nowMs: this.nowMs });
  }

  message(id: number, message: BrokerMessage): void {
    const streamId = this.streams.get(id) ?? this.openStream(id);
    this.step({ kind: 'brokerMessage', streamId, message, nowMs: this.nowMs, wallMs: 1_700_000_000_000 });
  }

  register(id: number, over: Partial<Registration> = {}): void {
    const registration: Registration = {
      brokerId: brokerId(id),
      incarnation: `i${id}`,
      listeners: [],
      peer: endpointOf(id),
      rack: null,
      directories: [],
      previousBrokerEpoch: noBrokerEpoch,
      stopKind: 'clean',
      ...over,
    };
    this.message(id, { kind: 'register', registration });
  }

  heartbeat(id: number, over: Partial<Heartbeat> = {}): void {
    const record = this.image.brokers.get(brokerId(id))?.record;
    this.message(id, {
      kind: 'heartbeat',
      sequence: 1,
      brokerId: brokerId(id),
      incarnation: record?.incarnation ?? `i${id}`,
      brokerEpoch: record?.brokerEpoch ?? brokerEpoch(-1),
      appliedRevision: this.image.revision,
      isCaughtUp: true,
      wantsShutdown: false,
      wallMs: 0,
      ...over,
    });
  }

  /** These brokers are registered, ACTIVE and connected, with their lease keys. */
  join(...ids: number[]): void {
    for (const id of ids) {
      this.register(id);
      this.heartbeat(id);
      this.write({ kind: 'put', key: keys.live(brokerId(id)), value: encodeValue({ incarnation: `i${id}` }) });
    }
  }

  /** The stream is closed by the kernel, and nobody listens any more. */
  kill(id: number): void {
    this.closeStream(id);
    this.answerDial(id, 'refused');
  }

  /** Asks for a topic and gives back its id. */
  createTopic(name: string, over: Partial<NewTopic> = {}) {
    const topic = {
      name,
      partitions: 1,
      replicationFactor: 3,
      assignment: null,
      configs: {},
      isInternal: false,
      ...over,
    };
    const answer = this.admin({ kind: 'createTopics', topics: [topic], validateOnly: false });
    assert.equal(answer?.kind, 'done');
    const [result] = answer.results;
    assert.ok(result?.fault === null, JSON.stringify(result));
    return result.topicId;
  }

  /** The answer, if it was given by the time the call returns. */
  admin(command: Extract<BrokerMessage, { kind: 'admin' }>['command']) {
    const requestId = this.#nextRequestId++;
    this.message(1, { kind: 'admin', requestId, command });
    return this.adminAnswer(requestId);
  }

  adminAnswer(requestId = this.#nextRequestId - 1) {
    for (const { message } of this.sent)
      if (message.kind === 'adminAnswer' && message.requestId === requestId) return message.answer;
    return null;
  }

  /** What was sent of one kind, since the last call. */
  take<Kind extends ControllerMessage['kind']>(kind: Kind): Extract<ControllerMessage, { kind: Kind }>[] {
    const found = this.sent.filter(({ message }) => message.kind === kind).map(({ message }) => message);
    this.sent.splice(0, this.sent.length, ...this.sent.filter(({ message }) => message.kind !== kind));
    return found as Extract<ControllerMessage, { kind: Kind }>[];
  }

  stateOf(id: number): BrokerState | undefined {
    return this.image.brokers.get(brokerId(id))?.record.state;
  }

  epochOf(id: number) {
    return this.image.brokers.get(brokerId(id))?.record.brokerEpoch ?? noBrokerEpoch;
  }

  partition(name: string, partition = 0): PartitionRecord {
    const record = this.image.topicByName(name)?.partitions[partition]?.record;
    assert.ok(record, `partition ${partition} of ${name}`);
    return record;
  }

  /** leader | ISR | ELR as short text. */
  summary(name: string, partition = 0): string {
    const { leader, isr, elr } = this.partition(name, partition);
    return `${leader} | ${isr.join(',')} | ${elr.join(',')}`;
  }
}

/** Three brokers, ACTIVE, and the controller in broker 1. */
export function threeBrokers(options: Partial<ControlOptions> = {}): ControllerWorld {
  const world = new ControllerWorld({ minInsyncReplicas: 2, ...options });
  world.elect();
  world.join(1, 2, 3);
  return world;
}

export const replicas = (...ids: number[]): BrokerId[] => ids.map(brokerId);
