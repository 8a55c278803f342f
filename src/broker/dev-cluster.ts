/**
 * Several brokers in one process over one embedded store: what `cordwood dev` runs and tests start. Each broker has its
 * own ports and data directory; they speak gRPC to one another as separate processes would.
 */

import { EmbeddedStore } from '../cluster/embedded-store.ts';
import type { MetadataStore } from '../controller/metadata-store.ts';
import { loadBrokerConfig } from '../model/config/broker-config.ts';
import { ConfigError } from '../model/config/config-key.ts';
import { BufferPool, bufferPoolBytes } from './buffer-pool.ts';
import { type BrokerEnvironment, type RunningBroker, startBroker } from './node.ts';

export interface DevClusterOptions {
  readonly brokers: number;
  /** Holds `metadata.db` and one directory per broker. */
  readonly dataDirectory: string;
  readonly host: string;
  /** The first broker's port, the others follow; 0 for any free ones. */
  readonly port: number;
  /** More broker keys, for all brokers alike. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface DevBroker {
  readonly id: number;
  /** host:port for Kafka clients. */
  readonly address: string;
  readonly isRunning: boolean;
}

interface Slot {
  readonly id: number;
  port: number;
  peerPort: number;
  running: RunningBroker | null;
  store: MetadataStore | null;
}

export class DevCluster {
  readonly #options: DevClusterOptions;
  readonly #environment: BrokerEnvironment;
  readonly #store: EmbeddedStore;
  readonly #slots: Slot[];
  readonly #bufferPool = new BufferPool(bufferPoolBytes);

  private constructor(options: DevClusterOptions, environment: BrokerEnvironment, store: EmbeddedStore) {
    this.#options = options;
    this.#environment = environment;
    this.#store = store;
    this.#slots = Array.from({ length: options.brokers }, (_, index) => ({
      id: index + 1,
      port: options.port === 0 ? 0 : options.port + index,
      peerPort: 0,
      running: null,
      store: null,
    }));
  }

  /** Fulfilled when every broker serves clients. On failure nothing is left running. */
  static async start(options: DevClusterOptions, environment: BrokerEnvironment): Promise<DevCluster> {
    if (!Number.isInteger(options.brokers) || options.brokers < 1 || options.brokers > 32)
      throw new ConfigError('brokers', String(options.brokers), 'must be 1 to 32');
    await checkPorts(options, environment);
    await environment.disk.makeDirectory(options.dataDirectory);
    const store = await EmbeddedStore.open({ path: `${options.dataDirectory}/metadata.db` }, environment);
    const cluster = new DevCluster(options, environment, store);
    try {
      await Promise.all(cluster.#slots.map((slot) => cluster.#start(slot)));
    } catch (error) {
      await cluster.kill();
      throw error;
    }
    return cluster;
  }

  get bootstrapServers(): string[] {
    return this.#slots.map((slot) => `${this.#options.host}:${slot.port}`);
  }

  brokers(): DevBroker[] {
    return this.#slots.map((slot) => ({
      id: slot.id,
      address: `${this.#options.host}:${slot.port}`,
      isRunning: slot.running !== null,
    }));
  }

  async #start(slot: Slot): Promise<void> {
    const { brokers, host, dataDirectory } = this.#options;
    const replicas = String(Math.min(3, brokers));
    const config = loadBrokerConfig({
      flags: {
        'default.replication.factor': replicas,
        'min.insync.replicas': brokers >= 3 ? '2' : '1',
        'offsets.topic.replication.factor': replicas,
        'transaction.state.log.replication.factor': replicas,
        'transaction.state.log.min.isr': brokers >= 3 ? '2' : '1',
        'group.initial.rebalance.delay.ms': '0',
        ...this.#options.config,
        'node.id': String(slot.id),
        listeners: `PLAINTEXT://${host}:${slot.port}`,
        'cordwood.peer.listener': `127.0.0.1:${slot.peerPort}`,
        'cordwood.http.listener': '',
        'log.dirs': `${dataDirectory}/broker-${slot.id}`,
      },
    });
    const store = this.#store.connect();
    slot.store = store;
    const running = await startBroker(config, {
      ...this.#environment,
      store,
      isAlone: brokers === 1,
      bufferPool: this.#bufferPool,
    });
    slot.running = running;
    slot.port = running.endpoints[0]?.port ?? slot.port;
    slot.peerPort = running.peer?.port ?? 0;
    running.onEnded(() => {
      if (slot.running === running) slot.running = null;
    });
  }

  #slot(id: number): Slot {
    const slot = this.#slots.find((one) => one.id === id);
    if (!slot) throw new RangeError(`there is no broker ${id}`);
    return slot;
  }

  /** Hands leadership on, then stops. */
  async stopBroker(id: number): Promise<void> {
    const slot = this.#slot(id);
    const { running } = slot;
    slot.running = null;
    await running?.stop();
  }

  /** As kill -9: sockets close, nothing is flushed, nobody is told. */
  async killBroker(id: number): Promise<void> {
    const slot = this.#slot(id);
    const { running } = slot;
    slot.running = null;
    await running?.kill();
  }

  async startBroker(id: number): Promise<void> {
    const slot = this.#slot(id);
    if (slot.running === null) await this.#start(slot);
  }

  /** Stops every broker cleanly, the store last. */
  async stop(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => this.stopBroker(slot.id)));
    await this.#store.close();
  }

  async kill(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => this.killBroker(slot.id)));
    await this.#store.close();
  }
}

/** A port in use is known before anything is written: the store and some of the brokers are open before the last port. */
async function checkPorts({ host, port, brokers }: DevClusterOptions, { network }: BrokerEnvironment): Promise<void> {
  if (port === 0) return;
  for (let index = 0; index < brokers; index++) {
    const address = { host, port: port + index, highWaterMarkBytes: 16_384 };
    const listener = await network.listen(
      address,
      (connection) => {
        connection.destroy();
        return { onData: () => undefined, onClose: () => undefined };
      },
      () => undefined,
    );
    await listener.close();
  }
}

export const startDevCluster = (options: DevClusterOptions, environment: BrokerEnvironment): Promise<DevCluster> =>
  DevCluster.start(options, environment);
