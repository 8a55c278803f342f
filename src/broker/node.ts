/**
 * One broker, wired together in one flat function: what it is made of, in which order it starts and stops.
 *
 *     ports → data directory → metadata store → image → nobody else has this id → controller, agent → logs
 *     → registered, caught up → clients are served
 *
 * Whatever can refuse a start comes before the first write: a port in use, a directory or an id that another has.
 *
 * Stopping goes the other way; `kill` ends everything at once, as a crash would.
 */
import { BrokerAgent } from '../controller/broker-agent.ts';
import type { ControlClient, ControlServerHandler, Dialer } from '../controller/control-channel.ts';
import { type ControlOptions, defaultControlOptions } from '../controller/control-options.ts';
import { ControllerRunner } from '../controller/controller-runner.ts';
import { ImageFollower } from '../controller/image-follower.ts';
import { type MetadataStore, StoreUnavailable } from '../controller/metadata-store.ts';
import type { Clock, Timers } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import type { HttpServers } from '../env/http.ts';
import type { Logger } from '../env/logger.ts';
import { type Address, formatAddress, type Listener, type Network } from '../env/network.ts';
import type { Random } from '../env/random.ts';
import type { SocketListener } from '../env/socket-listener.ts';
import { LogDirectory, LogDirectoryError } from '../log/log-directory.ts';
import { type BrokerId, brokerId, revision } from '../model/brands.ts';
import type { BrokerConfig } from '../model/config/broker-config.ts';
import { ConfigError } from '../model/config/config-key.ts';
import { BrokerError } from '../model/fault.ts';
import { type Endpoint, encodeValue, keys } from '../model/metadata-schema.ts';
import { ReplicaManager, type ReplicaManagerOptions } from '../replication/replica-manager.ts';
import type {
  ReplicationAcceptor,
  ReplicationClient,
  ReplicationStream,
  ReplicationStreamHandler,
} from '../replication/replication-channel.ts';
import type { FollowerMessage, LeaderMessage } from '../replication/replication-messages.ts';
import { AnswerMemory } from './answer-memory.ts';
import { BufferPool, bufferPoolBytes } from './buffer-pool.ts';
import { ClientListener } from './client-listener.ts';
import { groupOptions } from './coordinators/group-configuration.ts';
import { GroupCoordinators } from './coordinators/group-coordinators.ts';
import { internalReplicationFactor } from './coordinators/internal-topics.ts';
import { DirectoryLogs } from './directory-logs.ts';
import { advertisedEndpoints, advertisedPeer, httpAddress, listenersOf, peerAddress } from './endpoints.ts';
import { FetchSessions } from './fetch-sessions.ts';
import { type Health, serveHealth } from './health-server.ts';
import { LocalControl, nobodyToDial, RoutedControl } from './local-control.ts';
import { MetadataWatch } from './metadata-watch.ts';
import { ProducerIds } from './producer-ids.ts';
import { RequestMemory } from './request-memory.ts';
import type { BrokerServices } from './services.ts';

/** The world a broker runs in. */
export interface BrokerEnvironment {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly network: Network;
  readonly socketListener: SocketListener;
  readonly httpServers: HttpServers;
  readonly logger: Logger;
}

export interface BrokerModules extends BrokerEnvironment {
  /** Given where several brokers share a process; otherwise the configuration says which to open. */
  readonly store?: MetadataStore;
  /** No other broker can join: nothing of gRPC is loaded. */
  readonly isAlone?: boolean;
  /** Given where several brokers share a process, and by tests. */
  readonly bufferPool?: BufferPool;
}

export interface RunningBroker {
  readonly id: BrokerId;
  /** For Kafka clients, as advertised. */
  readonly endpoints: readonly Endpoint[];
  readonly peer: Address | null;
  /** Hands leadership on, flushes, leaves the clean mark. */
  stop(): Promise<void>;
  /** Nothing is flushed and nobody is told. */
  kill(): Promise<void>;
  /** Runs when the broker ends by itself: its log failed, or another process holds its id. */
  onEnded(listener: (reason: string) => void): void;
}

const tick = { tickMs: 100, stallMs: 500, checkpointMs: 5000 };

function replicaOptions(id: BrokerId, clusterId: string, config: BrokerConfig): ReplicaManagerOptions {
  return {
    clusterId,
    leader: {
      localId: id,
      lagTimeMaxMs: config.values['replica.lag.time.max.ms'],
      isrRetryMs: 500,
      isolationTimeMs: 2000,
    },
    follower: { attachRetryMs: 50 },
    waitersLimit: 100_000,
    leadershipHoldMs: 500,
    creditBytes: 16 * 1024 * 1024,
    readBytes: Math.max(config.values['replica.fetch.max.bytes'], 4096),
    queuedLimitBytes: 4 * 1024 * 1024,
    highWatermarkDelayMs: 10,
    firstRetryMs: 10,
    maxRetryMs: 500,
    ...tick,
  };
}

function controlOptions(config: BrokerConfig): ControlOptions {
  const { values, set } = config;
  const internalReplicas = internalReplicationFactor(config);
  return {
    ...defaultControlOptions,
    numPartitions: values['num.partitions'],
    defaultReplicationFactor: values['default.replication.factor'],
    minInsyncReplicas: Number(set.get('min.insync.replicas')?.value ?? 1),
    internalTopicReplicationFactor: internalReplicas,
    internalTopicMinInsyncReplicas: Math.min(2, internalReplicas),
    uncleanLeaderElection: values['unclean.leader.election.enable'],
    autoLeaderRebalance: values['auto.leader.rebalance.enable'],
    leaderImbalanceCheckIntervalMs: values['leader.imbalance.check.interval.seconds'] * 1000,
  };
}

/** Whoever starts first writes the cluster's record; everybody else finds it. */
async function clusterIdOf(store: MetadataStore, follower: ImageFollower, modules: BrokerModules): Promise<string> {
  const known = follower.image.cluster?.clusterId;
  if (known) return known;
  const record = {
    clusterId: modules.random.bytes(16).toString('base64url'),
    createdAtMs: modules.clock.wallMs(),
    features: {},
  };
  const { succeeded } = await store.transact({
    compares: [{ key: keys.cluster, modRevision: revision(0) }],
    mutations: [{ kind: 'put', key: keys.cluster, value: encodeValue(record) }],
  });
  if (succeeded) return record.clusterId;
  const { entries } = await store.read(keys.cluster);
  const found = /"clusterId":"([^"]+)"/.exec(entries.find(({ key }) => key === keys.cluster)?.value ?? '')?.[1];
  if (!found) throw new StoreUnavailable('its cluster record was written and is gone again', false);
  return found;
}

/** Throws a ConfigError for what only opening the store would find out. */
function checkStoreConfig(config: BrokerConfig): void {
  if (config.values['cordwood.metadata.store'] !== 'etcd') return;
  const key = 'cordwood.etcd.endpoints';
  const endpoints = config.values[key];
  if (endpoints.length === 0) throw new ConfigError(key, '', 'at least one is needed');
  for (const endpoint of endpoints)
    if (!/^(?:https?:\/\/)?(?:\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}\/?$/.test(endpoint.trim()))
      throw new ConfigError(key, endpoint, 'must be http://host:port');
}

async function openStore(config: BrokerConfig, modules: BrokerModules): Promise<MetadataStore> {
  if (modules.store) return modules.store;
  if (config.values['cordwood.metadata.store'] === 'embedded') {
    const { EmbeddedStore } = await import('../cluster/embedded-store.ts');
    const path = `${config.values['log.dirs'][0]}/metadata.db`;
    return (await EmbeddedStore.open({ path }, modules)).connectAlone();
  }
  const { EtcdStore } = await import('../cluster/etcd/etcd-store.ts');
  const endpoints = config.values['cordwood.etcd.endpoints'];
  return EtcdStore.open({ endpoints, clusterName: config.values['cordwood.cluster.name'] }, modules);
}

/**
 * Starts a broker; fulfilled when it is registered, caught up and serves clients. Rejects with the reason, having
 * closed what it opened: ConfigError, AddressError, StoreUnavailable, StoreCannotOpen, LogDirectoryError.
 */
export function startBroker(config: BrokerConfig, modules: BrokerModules): Promise<RunningBroker> {
  return Broker.start(config, modules);
}

class Broker implements RunningBroker {
  readonly id: BrokerId;
  endpoints: readonly Endpoint[] = [];
  peer: Address | null = null;
  readonly #config: BrokerConfig;
  readonly #modules: BrokerModules;
  readonly #logger: Logger;
  readonly #endListeners: ((reason: string) => void)[] = [];
  /** What has been opened, newest last. */
  readonly #opened: Part[] = [];
  /** Opened before all that, since a port in use must be known before anything is written; closed before it, too. */
  readonly #doors: Part[] = [];
  /** Ends before the doors close. */
  #core: Part | null = null;
  #ending: Promise<void> | null = null;
  /** Rejects when this broker has failed by itself. */
  readonly #failure = Promise.withResolvers<never>();
  #health: Health = { sickness: null, unreadiness: 'starting' };

  private constructor(config: BrokerConfig, modules: BrokerModules) {
    this.#config = config;
    this.id = brokerId(config.values['node.id']);
    this.#modules = modules;
    this.#logger = modules.logger.child({ broker: this.id });
    // Only a start waits for it; later the listeners are told.
    this.#failure.promise.catch(() => {});
  }

  static async start(config: BrokerConfig, modules: BrokerModules): Promise<Broker> {
    const broker = new Broker(config, modules);
    try {
      await broker.#start();
      return broker;
    } catch (error) {
      await broker.kill();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { clock, timers, random, network, logger } = { ...this.#modules, logger: this.#logger };
    const config = this.#config;
    const listeners = listenersOf(config);
    checkStoreConfig(config);
    const services = Promise.withResolvers<BrokerServices>();
    const memory = new RequestMemory(config.values['queued.max.request.bytes']);
    const bound = await Promise.all(
      listeners.map(async ({ name, address }) => {
        const listener = new ClientListener(
          {
            name,
            address,
            requestMaxBytes: config.values['socket.request.max.bytes'],
            connectionsLimit: config.values['max.connections'],
            maxIdleMs: config.values['connections.max.idle.ms'],
          },
          { network, memory, clock, timers, logger },
        );
        this.#onClosing(() => listener.close());
        return { name, address: await listener.open(services.promise) };
      }),
    );
    this.endpoints = advertisedEndpoints(config, bound);
    await this.#serveHealth();

    const incarnation = random.bytes(16).toString('base64url');
    const control = controlOptions(config);
    // Where the parts below need one another, they are told when they are all there; other brokers come again.
    let isComplete = false;
    const server: ControlServerHandler = {
      onOpened: (peer) => (isComplete ? runner.onOpened(peer) : peer.close()),
      onMessage: (peer, message) => {
        if (isComplete) runner.onMessage(peer, message);
      },
      onClosed: (peer, cause) => {
        if (isComplete) runner.onClosed(peer, cause);
      },
    };
    const peers = await this.#openPeers(server, (stream) => (isComplete ? replicas.accept(stream) : notYet(stream)));

    const directory = await this.#openDirectory();
    const store = await this.#openStore();
    const follower = await ImageFollower.open({ store, timers, logger });
    this.#onEnd(() => follower.close());
    await this.#refuseToBeSecond(store, follower, peers);
    const clusterId = await clusterIdOf(store, follower, this.#modules);
    await directory.join(clusterId, this.id, follower.image.revision);

    const runner = new ControllerRunner(
      { brokerId: this.id, incarnation, endpoint: peers.endpoint, control },
      { store, follower, dialer: peers.dialer, clock, timers, random, logger },
    );
    const agent = new BrokerAgent(
      {
        control,
        registration: {
          brokerId: this.id,
          incarnation,
          listeners: this.endpoints,
          peer: peers.endpoint,
          rack: config.values['broker.rack'],
          directories: [directory.directoryId],
          previousBrokerEpoch: directory.previousBrokerEpoch,
          // Asked when it registers: a log found damaged by then lacks what it once held.
          get stopKind() {
            return replicas.hasDamagedLogs ? 'lossy' : directory.lastStop;
          },
        },
      },
      {
        store,
        follower,
        client: peers.control,
        dialer: peers.dialer,
        clock,
        timers,
        logger,
        onControllerDead: (controllerEpoch) => runner.onControllerDead(controllerEpoch),
        replicaStates: async (partitions) =>
          partitions.map(({ topicId, partition }) => {
            const replica = replicas.get(topicId, partition);
            return replica ? { lastEpoch: replica.log.lastEpoch(), logEndOffset: replica.log.logEndOffset } : null;
          }),
      },
    );
    const metadata = new MetadataWatch({ timers });
    const logs = new DirectoryLogs({ config, directory, image: () => follower.image });
    const groups = new GroupCoordinators(
      {
        localId: this.id,
        groups: groupOptions(config),
        commitTimeoutMs: config.values['offsets.commit.timeout.ms'],
      },
      {
        clock,
        timers,
        random,
        logger,
        image: () => follower.image,
        isStreamBroken: (leader) => replicas.isStreamBroken(leader),
      },
    );
    this.#onEnd(() => groups.close());
    const replicas = new ReplicaManager(
      replicaOptions(this.id, clusterId, config),
      {
        clock,
        timers,
        logger,
        logs,
        client: peers.replication,
        isrChanger: agent,
        controllerContact: () => agent.controllerContact,
        onStreamOpened: () => metadata.notify(),
        onLogFailed: (error) => this.#fail(`the log in ${directory.path} failed: ${(error as Error).message}`),
        onReplicaOpened: (replica) => groups.onReplicaOpened(replica),
        onReplicaRemoved: (replica) => groups.onReplicaRemoved(replica),
      },
      follower.image,
    );
    if (config.values['log.cleaner.enable'])
      directory.startCleaning(
        {
          backoffMs: config.values['log.cleaner.backoff.ms'],
          mapBytes: config.values['log.cleaner.dedupe.buffer.size'],
        },
        ({ topicId, partition }) => replicas.get(topicId, partition)?.cleanableEndOffset ?? null,
      );
    isComplete = true;
    follower.onChange((entries) => {
      replicas.onMetadata(follower.image, entries);
      groups.onMetadata(entries);
      directory.noteRevision(follower.image.revision);
      metadata.notify();
      reportCaughtUp();
    });
    const reportCaughtUp = (): void => {
      if (agent.state !== 'active') agent.setCaughtUp(replicas.isCaughtUp);
    };
    const reporting = timers.setRepeatingTimer(caughtUpCheckMs, reportCaughtUp);
    this.#core = {
      close: async () => {
        const { isClean, leadersLeft } = await agent.requestShutdown();
        if (!isClean) logger.warn({ leadersLeft }, 'stopping although partitions are still led here');
        reporting.cancel();
        await replicas.stop();
        await directory.close(agent.brokerEpoch);
        await agent.stop();
        await runner.stop();
      },
      drop: () => {
        reporting.cancel();
        replicas.abandon();
        agent.abandon();
        runner.abandon();
      },
    };

    runner.start();
    await this.#unlessFailed(replicas.start());
    const registered = await this.#unlessFailed(agent.start());
    await this.#unlessFailed(directory.noteRegistered());
    replicas.onRegistered(registered.brokerEpoch);
    reportCaughtUp();
    await this.#unlessFailed(this.#becomeActive(agent));
    const producerIds = new ProducerIds({ store });
    services.resolve({
      localId: this.id,
      clusterId,
      config,
      replicas,
      metadata,
      fetchSessions: new FetchSessions(
        { slots: config.values['max.incremental.fetch.session.cache.slots'] },
        { random },
      ),
      answerMemory: new AnswerMemory(
        config.values['cordwood.answer.memory.bytes'],
        this.#modules.bufferPool ?? new BufferPool(bufferPoolBytes),
      ),
      groups,
      clock,
      timers,
      logger,
      image: () => follower.image,
      admin: (command, timeoutMs) => agent.admin(command, timeoutMs),
      waitForRevision: (wanted, timeoutMs) => follower.waitForRevision(wanted, timeoutMs),
      nextProducerId: () => producerIds.next(),
    });
    this.#health = { sickness: null, unreadiness: null };
    agent.onState((state) => {
      this.#health = { ...this.#health, unreadiness: state === 'active' ? null : `this broker is ${state}` };
    });
    logger.info({ endpoints: this.endpoints, clusterId, brokerEpoch: registered.brokerEpoch }, 'broker started');
  }

  /** What the start waits for, or why this broker has failed meanwhile: what it waits for would never come. */
  #unlessFailed<Result>(work: Promise<Result>): Promise<Result> {
    return Promise.race([this.#failure.promise, work]);
  }

  #becomeActive(agent: BrokerAgent): Promise<void> {
    if (agent.state === 'active') return Promise.resolve();
    return new Promise((resolve) => {
      const stop = agent.onState((state) => {
        if (state !== 'active') return;
        stop();
        resolve();
      });
    });
  }

  /** What is closed last to first, the same way cleanly and as a crash. */
  #onEnd(end: () => Promise<void> | void): void {
    this.#opened.push({ close: end, drop: end });
  }

  #onClosing(end: () => Promise<void> | void): void {
    this.#doors.push({ close: end, drop: end });
  }

  /**
   * Another process that runs under this id would be taken for this broker's last run and lose its place. It is asked
   * itself: its lease outlives it, and its kernel answers for it while it is stopped.
   */
  async #refuseToBeSecond(store: MetadataStore, follower: ImageFollower, peers: Peers): Promise<void> {
    if (this.#modules.store || this.#config.values['cordwood.metadata.store'] === 'embedded') return;
    const key = keys.live(this.id);
    const { entries } = await store.read(key);
    if (!entries.some((entry) => entry.key === key)) return;
    const { controller, brokers } = follower.image;
    const known = [brokers.get(this.id)?.record.peer];
    if (controller?.record.brokerId === this.id) known.push(controller.record.endpoint);
    for (const endpoint of known) {
      if (!endpoint || (endpoint.host === peers.endpoint.host && endpoint.port === peers.endpoint.port)) continue;
      if (!(await this.#doesAnswer(endpoint, peers.control))) continue;
      const reason = `a running broker at ${formatAddress(endpoint)} has the id ${this.id} already`;
      throw new BrokerError({ code: 'DUPLICATE_BROKER_ID', reason });
    }
  }

  #doesAnswer(endpoint: Endpoint, client: ControlClient): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isThere: boolean): void => {
        timer.cancel();
        resolve(isThere);
      };
      const timer = this.#modules.timers.setTimer(answerLimitMs, () => end(false));
      const stream = client.connect(endpoint, { onMessage: () => end(true), onClosed: () => end(false) });
      // A controller says nothing unasked; of anybody else this too is answered.
      stream.send({ kind: 'admin', requestId: 0, command: { kind: 'createTopics', topics: [], validateOnly: true } });
      this.#onEnd(() => stream.close());
    });
  }

  async #openDirectory(): Promise<LogDirectory> {
    const { disk, clock, timers, random } = this.#modules;
    const [path, ...more] = this.#config.values['log.dirs'];
    if (!path || more.length > 0)
      throw new ConfigError('log.dirs', this.#config.values['log.dirs'].join(','), 'must be one directory');
    const directory = await LogDirectory.open({ path }, { disk, clock, timers, random, logger: this.#logger });
    this.#onEnd(() => directory.abandon());
    return directory;
  }

  async #serveHealth(): Promise<void> {
    const text = this.#config.values['cordwood.http.listener'];
    if (text === '') return;
    const modules = { http: this.#modules.httpServers, health: () => this.#health };
    const listener: Listener = await serveHealth(httpAddress(this.#config), modules);
    this.#onClosing(() => listener.close());
  }

  async #openStore(): Promise<MetadataStore> {
    const store = await openStore(this.#config, this.#modules);
    this.#onEnd(() => store.close());
    return store;
  }

  /** The gRPC server and clients of this broker; in a process that is its whole cluster none of it is loaded. */
  async #openPeers(control: ControlServerHandler, replication: ReplicationAcceptor): Promise<Peers> {
    const local = new LocalControl(control);
    const { timers, clock, network, socketListener } = this.#modules;
    const logger = this.#logger;
    if (this.#modules.isAlone)
      return {
        endpoint: { name: 'PEER', host: 'localhost', port: 0 },
        control: local,
        dialer: nobodyToDial,
        replication: null,
      };
    const { GrpcControlClient, GrpcReplicationClient, NetworkDialer, PeerServer } = await import('../cluster/peers.ts');
    const server = new PeerServer(
      { address: peerAddress(this.#config) },
      { socketListener, timers, logger, control, replication },
    );
    this.#doors.push({ close: () => server.close(), drop: () => server.abandon() });
    this.peer = await server.listen();
    const endpoint = advertisedPeer(this.#config, this.peer);
    const remote = new GrpcControlClient({}, { timers, logger });
    const copies = new GrpcReplicationClient({}, { timers, logger });
    this.#onClosing(() => {
      remote.abandon();
      copies.abandon();
    });
    const dialer = new NetworkDialer({ network, clock, timers });
    return { endpoint, control: new RoutedControl(local, remote, () => endpoint), dialer, replication: copies };
  }

  onEnded(listener: (reason: string) => void): void {
    this.#endListeners.push(listener);
  }

  /** The broker cannot go on: it ends as a crash would, so that the others take over at once. */
  #fail(reason: string): void {
    if (this.#ending) return;
    this.#logger.error({ reason }, 'this broker ends');
    this.#health = { sickness: reason, unreadiness: reason };
    this.#failure.reject(new LogDirectoryError('FAILED', reason));
    void this.kill().then(() => {
      for (const listener of this.#endListeners) listener(reason);
    });
  }

  stop(): Promise<void> {
    this.#health = { sickness: null, unreadiness: 'stopping' };
    this.#ending ??= this.#end('close');
    return this.#ending;
  }

  kill(): Promise<void> {
    this.#ending ??= this.#end('drop');
    return this.#ending;
  }

  async #end(how: 'close' | 'drop'): Promise<void> {
    const core = this.#core ? [this.#core] : [];
    for (const part of [...core, ...this.#doors.splice(0).reverse(), ...this.#opened.splice(0).reverse()]) {
      try {
        await part[how]();
      } catch (error) {
        this.#logger.error({ err: error }, 'a part of this broker did not end well');
      }
    }
  }
}

/** How a part is closed cleanly, and dropped at once. */
interface Part {
  readonly close: () => Promise<void> | void;
  readonly drop: () => Promise<void> | void;
}

/** A follower that comes before this broker has its logs. */
function notYet(stream: ReplicationStream<LeaderMessage>): ReplicationStreamHandler<FollowerMessage> {
  stream.close();
  return { onMessages() {}, onDrained() {}, onClosed() {} };
}

interface Peers {
  readonly endpoint: Endpoint;
  readonly control: ControlClient;
  readonly dialer: Dialer;
  readonly replication: ReplicationClient | null;
}

/** A living broker answers on a new control stream within a few milliseconds. */
const answerLimitMs = 1000;
/** How often a broker that is not active looks whether it has caught up. */
const caughtUpCheckMs = 20;
