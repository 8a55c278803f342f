/** Brokers as far as the control plane goes: runner and agent on a simulated store, an in-process transport, manual time. */
import { BrokerAgent } from '../../../src/controller/broker-agent.ts';
import type {
  CloseCause,
  ControlClient,
  ControlPeer,
  ControlStream,
  ControlStreamHandler,
  Dialer,
} from '../../../src/controller/control-channel.ts';
import type { DialOutcome, ReplicaState } from '../../../src/controller/control-messages.ts';
import { type ControlOptions, defaultControlOptions } from '../../../src/controller/control-options.ts';
import { ControllerRunner } from '../../../src/controller/controller-runner.ts';
import { ImageFollower } from '../../../src/controller/image-follower.ts';
import { silentLogger } from '../../../src/env/logger.ts';
import { brokerId, noBrokerEpoch } from '../../../src/model/brands.ts';
import type { Endpoint } from '../../../src/model/metadata-schema.ts';
import { ManualTime } from '../../support/manual-time.ts';
import { type SimulatedConnection, SimulatedStore } from '../../support/simulated-store.ts';

const delayMs = 0.5;

/** Both ends of one stream; either may end it, and a killed process ends all of its. */
interface Link {
  readonly client: DrivenBroker;
  readonly server: DrivenBroker;
  readonly peer: ControlPeer;
  readonly handler: ControlStreamHandler;
  isOpen: boolean;
}

export class DrivenCluster {
  readonly time = new ManualTime();
  readonly store: SimulatedStore;
  readonly options: ControlOptions;
  readonly brokers = new Map<number, DrivenBroker>();
  readonly links = new Set<Link>();
  readonly random = { next: () => 0.5, bytes: (length: number) => Buffer.alloc(length, ++this.#drawn % 251) };
  #drawn = 0;
  #nextStreamId = 1;

  constructor(options: Partial<ControlOptions> = {}) {
    this.options = { ...defaultControlOptions, ...options };
    this.store = new SimulatedStore({ clock: this.time, timers: this.time, random: this.random });
  }

  async start(...ids: number[]): Promise<void> {
    for (const id of ids) {
      const broker = new DrivenBroker(this, id);
      this.brokers.set(id, broker);
      void broker.start();
    }
    await this.time.advance(1000);
  }

  broker(id: number): DrivenBroker {
    const broker = this.brokers.get(id);
    if (!broker) throw new Error(`no broker ${id}`);
    return broker;
  }

  get controller(): DrivenBroker | undefined {
    return [...this.brokers.values()].find((broker) => broker.isUp && broker.runner.isController);
  }

  serving(endpoint: Endpoint): DrivenBroker | undefined {
    return [...this.brokers.values()].find((broker) => broker.isUp && broker.endpoint.port === endpoint.port);
  }

  connect(client: DrivenBroker, endpoint: Endpoint, handler: ControlStreamHandler): ControlStream {
    const server = this.serving(endpoint);
    if (!server) {
      this.time.setTimer(delayMs, () => handler.onClosed('lost'));
      return { send() {}, close() {} };
    }
    const peer: ControlPeer = {
      streamId: this.#nextStreamId++,
      send: (message) => this.#later(link, () => client.hears(() => handler.onMessage(message))),
      close: () => this.close(link, client, 'peerClosed'),
    };
    const link: Link = { client, server, peer, handler, isOpen: true };
    this.links.add(link);
    this.#later(link, () => server.hears(() => server.runner.onOpened(peer)));
    return {
      send: (message) => this.#later(link, () => server.hears(() => server.runner.onMessage(peer, message))),
      close: () => this.close(link, server, 'peerClosed'),
    };
  }

  #later(link: Link, deliver: () => void): void {
    this.time.setTimer(delayMs, () => {
      if (link.isOpen) deliver();
    });
  }

  /** Only the side `told` hears of it. */
  close(link: Link, told: DrivenBroker, cause: CloseCause): void {
    if (!this.links.delete(link)) return;
    this.time.setTimer(delayMs, () => {
      link.isOpen = false;
      if (told === link.client) told.hears(() => link.handler.onClosed(cause));
      else told.hears(() => link.server.runner.onClosed(link.peer, cause));
    });
  }

  /** kill -9: the kernel closes its streams, nobody listens. */
  kill(id: number): void {
    const dead = this.broker(id);
    dead.crash();
    for (const link of [...this.links])
      if (link.client === dead || link.server === dead)
        this.close(link, link.client === dead ? link.server : link.client, 'peerClosed');
  }
}

export class DrivenBroker {
  readonly cluster: DrivenCluster;
  readonly id: number;
  readonly endpoint: Endpoint;
  readonly connection: SimulatedConnection;
  runner: ControllerRunner = undefined as unknown as ControllerRunner;
  agent: BrokerAgent = undefined as unknown as BrokerAgent;
  follower: ImageFollower = undefined as unknown as ImageFollower;
  isUp = true;
  failure: unknown = null;
  readonly held: (() => void)[] = [];
  isPaused = false;

  constructor(cluster: DrivenCluster, id: number, port = 9000 + id) {
    this.cluster = cluster;
    this.id = id;
    this.endpoint = { name: 'PEER', host: '127.0.0.1', port };
    this.connection = cluster.store.connect();
  }

  async start(incarnation = `i${this.id}-${this.cluster.time.monotonicMs()}`): Promise<void> {
    const { time, options, random } = this.cluster;
    const store = this.connection;
    const common = { store, clock: time, timers: time, logger: silentLogger };
    this.follower = await ImageFollower.open(common);
    const dialer: Dialer = { dial: (endpoint) => this.#dial(endpoint) };
    const client: ControlClient = { connect: (endpoint, handler) => this.cluster.connect(this, endpoint, handler) };
    const modules = { ...common, follower: this.follower, dialer, client, random };
    const who = { brokerId: brokerId(this.id), incarnation };
    this.runner = new ControllerRunner({ ...who, endpoint: this.endpoint, control: options }, modules);
    const registration = {
      ...who,
      listeners: [],
      peer: this.endpoint,
      rack: null,
      directories: [],
      previousBrokerEpoch: noBrokerEpoch,
      stopKind: 'killed' as const,
    };
    this.agent = new BrokerAgent(
      { control: options, registration },
      {
        ...modules,
        replicaStates: async (partitions): Promise<(ReplicaState | null)[]> => partitions.map(() => null),
        onControllerDead: (epoch) => this.runner.onControllerDead(epoch),
      },
    );
    this.runner.start();
    this.agent.start().catch((error: unknown) => {
      this.failure = error;
    });
    this.agent.setCaughtUp(true);
  }

  hears(what: () => void): void {
    if (this.isUp) what();
  }

  crash(): void {
    this.isUp = false;
    this.agent.abandon();
    this.runner.abandon();
    this.follower.close();
    void this.connection.close();
  }

  #dial(endpoint: Endpoint): Promise<DialOutcome> {
    return new Promise((resolve) => {
      this.cluster.time.setTimer(delayMs, () => resolve(this.cluster.serving(endpoint) ? 'accepted' : 'refused'));
    });
  }
}
