/**
 * What befalls the world. Each seed draws which kinds of faults it has and how often: a world with one kind of fault,
 * again and again, finds other things than one with a little of everything (swarm testing).
 */
import { type BrokerId, noBroker, offset } from '../../src/model/brands.ts';
import { storePlace } from './simulated-network.ts';
import type { World } from './world.ts';

export type Misfortunes = readonly Kind[];
export type Kind =
  | 'kill'
  | 'losePower'
  | 'pause'
  | 'cutPair'
  | 'cutOneWay'
  | 'isolate'
  | 'cutFromStore'
  | 'strandLeader'
  | 'healNetwork'
  | 'breakStream'
  | 'storeAway'
  | 'dropLeases'
  | 'compact'
  | 'minIsr'
  | 'moveLeader'
  | 'createTopic'
  | 'deleteTopic'
  | 'shutDown'
  | 'wallClock'
  | 'deleteRecords'
  | 'flush';

const always: readonly Kind[] = ['healNetwork', 'flush'];
const sometimes: readonly Kind[] = [
  'kill',
  'kill',
  'pause',
  'cutPair',
  'cutOneWay',
  'isolate',
  'cutFromStore',
  'breakStream',
  'storeAway',
  'dropLeases',
  'compact',
  'createTopic',
  'deleteTopic',
  'shutDown',
  'wallClock',
  'deleteRecords',
  'moveLeader',
];

export class Misfortune {
  readonly #world: World;
  readonly #kinds: readonly Kind[];
  readonly #everyMs: number;
  readonly minIsr: number;
  #topics = 0;

  constructor(world: World) {
    this.#world = world;
    const { random, fault } = world;
    // §0 promises nothing to a topic whose min ISR has just been raised: lost power and changes of it exclude each other.
    const changesMinIsr = fault?.aim?.changesMinIsr ?? (!fault?.aim?.losesPower && random.chance(0.35));
    const losesPower = !changesMinIsr && (fault?.aim?.losesPower ?? random.chance(0.5));
    this.minIsr = fault?.aim?.minIsr ?? (losesPower ? random.pick([2, 2, 2, 3]) : random.pick([1, 1, 2, 2, 3]));
    const kinds: Kind[] = [...always];
    const share = random.between(0.2, 0.9);
    for (const kind of sometimes) if (random.chance(share)) kinds.push(kind);
    if (changesMinIsr) kinds.push('minIsr', 'minIsr');
    if (losesPower) kinds.push('losePower', 'losePower', 'flush');
    this.#kinds = fault?.aim?.kinds ?? kinds;
    this.#everyMs = fault?.aim?.everyMs ?? random.pick([150, 400, 1_000]);
    const { weather } = world.store;
    if (random.chance(0.5)) Object.assign(weather, { loseRequest: 0.03, loseAnswer: 0.05, carryOutLate: 0.03 });
    weather.latencyMs = random.pick([2, 5, 50]);
    world.network.weather.latencyMs = random.pick([1, 3, 20]);
    world.network.weather.spikeChance = random.pick([0, 0.01, 0.05]);
    world.network.weather.spikeMs = random.pick([100, 300, 2_000]);
    Object.assign(world.network.weather, fault?.aim?.network);
    world.repeatedProposals = random.pick([0, 0, 0.2]);
    world.clientLoss = random.pick([0, 0.02]);
    world.scheduler.after(600, () => this.#createTopic());
    world.scheduler.after(random.between(1_200, 2_500), () => this.#strikeLater());
  }

  get #someBroker(): BrokerId {
    return this.#world.random.pick(this.#world.brokers).id;
  }

  #strikeLater(): void {
    this.#world.scheduler.after(this.#world.random.next() * 2 * this.#everyMs, () => {
      if (this.#world.isHealing) return;
      this.#strike(this.#world.random.pick(this.#kinds));
      this.#strikeLater();
    });
  }

  /** A random time, mostly short. */
  #while(): number {
    const { random } = this.#world;
    return random.pick([100, 500, 2_000, 5_000]) * random.next();
  }

  #strike(kind: Kind): void {
    const world = this.#world;
    const { random, network, scheduler } = world;
    const id = this.#someBroker;
    world.trace.note('strike', [id], () => kind);
    switch (kind) {
      case 'kill':
        world.kill(id);
        scheduler.after(this.#while(), () => world.start(id));
        break;
      case 'losePower':
        if (world.losePower(id)) scheduler.after(this.#while(), () => world.start(id));
        break;
      case 'pause': {
        const running = world.processOf(id);
        running?.process.pause();
        scheduler.after(this.#while(), () => running?.process.isPaused && running.process.resume());
        break;
      }
      case 'cutPair': {
        const other = this.#someBroker;
        network.block(id, other);
        network.block(other, id);
        break;
      }
      case 'cutOneWay':
        network.block(id, this.#someBroker);
        break;
      case 'isolate':
        for (const other of world.brokers) {
          network.block(id, other.id);
          network.block(other.id, id);
        }
        if (random.chance(0.5)) this.#cutFromStore(id);
        break;
      case 'cutFromStore':
        this.#cutFromStore(id);
        break;
      case 'strandLeader':
        this.#strandLeader();
        break;
      case 'healNetwork':
        this.#healNetwork();
        break;
      case 'breakStream':
        network.breakSomeStream();
        break;
      case 'storeAway':
        world.store.core.setAway(true);
        scheduler.after(this.#while(), () => this.#storeBack());
        break;
      case 'dropLeases':
        if (!world.store.core.isAway) world.store.core.dropAllLeases();
        break;
      case 'compact':
        world.store.core.compact();
        break;
      case 'minIsr':
        if (!world.store.core.isAway) world.changeMinIsr(random.pick([1, 2, 3]));
        break;
      case 'moveLeader':
        if (!world.store.core.isAway) world.moveLeader();
        break;
      case 'createTopic':
        this.#createTopic();
        break;
      case 'deleteTopic':
        this.#deleteTopic();
        break;
      case 'shutDown':
        world.shutDown(id);
        scheduler.after(this.#while() + 1_000, () => world.start(id));
        break;
      case 'wallClock': {
        const broker = world.brokers[id];
        if (broker) broker.disk.moveWallClock(random.pick([-3.15e11, -3_600_000, 0, 3_600_000, 3.15e11]));
        break;
      }
      case 'deleteRecords': {
        const replicas = world.processOf(id)?.replicas ?? new Map();
        for (const replica of replicas.values()) {
          if (world.audit.topics.get(replica.topicId)?.record.isInternal) continue;
          const highWatermark = replica.leaderState?.highWatermark ?? 0;
          if (highWatermark > 0) replica.deleteRecordsBefore(offset(random.below(highWatermark + 1)));
        }
        break;
      }
      case 'flush':
        world.brokers[id]?.disk.flush();
        break;
    }
  }

  #cutFromStore(id: BrokerId): void {
    this.#world.network.block(id, storePlace);
    this.#world.network.block(storePlace, id);
  }

  /** Neither controller nor store reach a leader any more, followers do; some of these hear of no election either. */
  #strandLeader(): void {
    const { random, network, audit, brokers } = this.#world;
    const partitions = this.#world.partitions();
    if (partitions.length === 0) return;
    const { leader } = random.pick(partitions).record;
    const controller = audit.controller?.record.brokerId ?? leader;
    if (controller !== leader)
      for (const [from, to] of [
        [leader, controller],
        [controller, leader],
      ] as const)
        network.block(from, to);
    if (leader !== noBroker) this.#cutFromStore(leader);
    const other = random.pick(brokers).id;
    if (other !== controller && random.chance(0.5)) this.#cutFromStore(other);
  }

  #healNetwork(): void {
    this.#world.network.heal();
    for (const access of this.#world.store.accesses) access.wake();
  }

  #storeBack(): void {
    if (this.#world.store.core.isAway) this.#world.store.core.setAway(false);
  }

  /** Two names, so that deletion and creation of one name chase each other. */
  #createTopic(): void {
    const world = this.#world;
    const { random } = world;
    const running = world.brokers.filter(
      (broker) => broker.running?.brokerEpoch !== undefined && broker.running !== null,
    );
    if (running.length === 0) return;
    const name = `topic-${this.#topics++ % 2}`;
    const topic = {
      name,
      partitions: random.pick([1, 1, 2]),
      replicationFactor: Math.min(3, world.brokers.length),
      assignment: null,
      configs: { 'min.insync.replicas': String(Math.min(this.minIsr, world.brokers.length)) },
      isInternal: false,
    };
    const broker = random.pick(running).running;
    broker?.process.run(() => broker.admin({ kind: 'createTopics', topics: [topic], validateOnly: false }));
    // Placement needs enough active brokers: ask again until there is a topic.
    if (!world.isHealing)
      world.scheduler.after(700, () => {
        if (world.dataPartitions().length === 0) this.#createTopic();
      });
  }

  #deleteTopic(): void {
    const world = this.#world;
    const ids = [...world.audit.topics.values()].flatMap(({ id, record }) => (record.isInternal ? [] : [id]));
    const running = world.brokers.flatMap((broker) => (broker.running ? [broker.running] : []));
    if (ids.length === 0 || running.length === 0) return;
    const broker = world.random.pick(running);
    const topicIds = [world.random.pick(ids)];
    broker.process.run(() => broker.admin({ kind: 'deleteTopics', topicIds }));
  }

  /** Everything is whole again; whoever is down comes back, whoever is stopped goes on. */
  heal(): void {
    const world = this.#world;
    Object.assign(world.store.weather, { loseRequest: 0, loseAnswer: 0, carryOutLate: 0, latencyMs: 3 });
    Object.assign(world.network.weather, { latencyMs: 2, spikeChance: 0, spikeMs: 0 });
    world.clientLoss = 0;
    world.repeatedProposals = 0;
    world.refusedAppends = 0;
    this.#storeBack();
    this.#healNetwork();
    for (const { id, running } of world.brokers) {
      if (running?.process.isPaused) running.process.resume();
      if (!running) world.start(id);
    }
  }
}
