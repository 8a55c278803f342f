/**
 * How do the commands talk to a cluster? With the protocol layer of @platformatic/kafka: its codecs and connections, but
 * not its Producer, which resends a request for several partitions to the leader of the first one, keeps asking a
 * broker that answers NOT_LEADER twice, and takes a new producer id (so, duplicates) after an out-of-order answer.
 * Loading the package takes 0.3 s, so only commands that need it import this file.
 */
import * as kafka from '@platformatic/kafka';
import { formatAddress, parseAddress } from '../../env/network.ts';
import { nodeTimers } from '../../env/node/timers.ts';
import { CliError, exitCode } from '../exit-code.ts';

export interface BrokerNode {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

export interface PartitionInfo {
  readonly errorCode: number;
  readonly partitionIndex: number;
  /** -1 while there is none. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicaNodes: readonly number[];
  readonly isrNodes: readonly number[];
  readonly offlineReplicas: readonly number[];
}

export interface TopicInfo {
  readonly errorCode: number;
  readonly name: string;
  readonly topicId: string;
  readonly isInternal: boolean;
  /** In the order of their numbers. */
  readonly partitions: readonly PartitionInfo[];
}

export interface ClusterInfo {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: readonly BrokerNode[];
  readonly topics: readonly TopicInfo[];
}

/** Kafka's errors by the name of their number, for people. */
export function errorName(code: number): string {
  const names: Readonly<Record<number, string>> = kafka.protocolErrorsCodesById;
  return names[code] ?? `error ${code}`;
}

/** As it came over the wire; null arrays and names are possible where Kafka says so. */
interface MetadataAnswer {
  readonly brokers: BrokerNode[];
  readonly clusterId: string | null;
  readonly controllerId: number;
  readonly topics: { readonly [Key in keyof TopicInfo]: TopicInfo[Key] }[];
}

type KafkaApi<Args extends unknown[], Answer> = kafka.API<Args, Answer>;

/** A broker asked for metadata answers within this, or the next one is asked. */
const metadataTimeoutMs = 1500;
/** … and when it is only slow, the next one is asked as well. */
const askNextAfterMs = 250;

export interface ClientOptions {
  /** `host:port`, several separated by commas. */
  readonly bootstrap: string;
  /** How long a request may take before its connection counts as broken, in milliseconds. */
  readonly requestTimeoutMs: number;
}

export class KafkaClient {
  readonly #seeds: readonly { host: string; port: number }[];
  readonly #bootstrap: string;
  /** Metadata on connections of its own: it must not wait behind a request that a stopped broker holds. */
  readonly #metadataPool: kafka.ConnectionPool;
  readonly #pool: kafka.ConnectionPool;
  #nodes = new Map<number, BrokerNode>();

  constructor(options: ClientOptions) {
    this.#bootstrap = options.bootstrap;
    try {
      this.#seeds = options.bootstrap.split(',').map((text) => {
        const trimmed = text.trim();
        return parseAddress(/:\d+$/.test(trimmed) ? trimmed : `${trimmed}:9092`);
      });
    } catch (error) {
      throw new CliError(`--bootstrap: ${(error as Error).message}`, exitCode.usage);
    }
    const clientId = 'cordwood-cli';
    this.#metadataPool = new kafka.ConnectionPool(clientId, {
      connectTimeout: metadataTimeoutMs,
      requestTimeout: metadataTimeoutMs,
    });
    this.#pool = new kafka.ConnectionPool(clientId, {
      connectTimeout: metadataTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      maxInflights: 100,
    });
  }

  /** Of these topics, or of all; from the first broker that answers. Errors of single topics are in the answer. */
  async metadata(
    topics: readonly string[] | null,
    options: { create: boolean } = { create: false },
  ): Promise<ClusterInfo> {
    const answer = await this.#firstMetadata(topics, options.create);
    this.#nodes = new Map(answer.brokers.map((broker) => [broker.nodeId, broker]));
    return {
      clusterId: answer.clusterId ?? '',
      controllerId: answer.controllerId,
      brokers: [...answer.brokers].sort((a, b) => a.nodeId - b.nodeId),
      topics: answer.topics.map((topic) => ({
        ...topic,
        partitions: [...topic.partitions].sort((a, b) => a.partitionIndex - b.partitionIndex),
      })),
    };
  }

  /** Asks the brokers one after the other, the next one already when one is slow: a stopped process never refuses. */
  #firstMetadata(topics: readonly string[] | null, create: boolean): Promise<MetadataAnswer> {
    const targets = new Map([...this.#nodes.values(), ...this.#seeds].map((one) => [formatAddress(one), one])).values();
    return new Promise((resolve, reject) => {
      let last = new Error('no broker is known');
      let asked = 0;
      let isOver = false;
      const askNext = (): void => {
        if (isOver) return;
        const { value: target, done } = targets.next();
        if (done) {
          if (asked === 0) {
            isOver = true;
            reject(new CliError(`no broker answers at ${this.#bootstrap}: ${reasonOf(last)}`, exitCode.unreachable));
          }
          return;
        }
        asked += 1;
        const impatience = nodeTimers.setTimer(askNextAfterMs, askNext);
        this.#askMetadata(target, topics, create).then(
          (answer) => {
            isOver = true;
            impatience.cancel();
            resolve(answer);
          },
          (error: Error) => {
            asked -= 1;
            last = error;
            impatience.cancel();
            askNext();
          },
        );
      };
      askNext();
    });
  }

  async #askMetadata(
    target: { readonly host: string; readonly port: number },
    topics: readonly string[] | null,
    create: boolean,
  ): Promise<MetadataAnswer> {
    const connection = await this.#metadataPool.get({ host: target.host, port: target.port });
    // The types of the package do not know that no list means all topics.
    const list = topics === null ? (null as unknown as []) : [...topics];
    return (await answerOf(kafka.metadataV12.api.async(connection, list, create, false))) as unknown as MetadataAnswer;
  }

  /** The topic, which must be there and have no error. */
  async topic(name: string, options: { create: boolean } = { create: false }): Promise<TopicInfo> {
    const { topics } = await this.metadata([name], options);
    const topic = topics.find((one) => one.name === name);
    if (topic === undefined || topic.errorCode !== 0) {
      const code = topic?.errorCode ?? 3;
      if (code === 3) throw new CliError(`there is no topic ${name} (create it: cordwood topic create ${name})`);
      throw new CliError(`topic ${name}: ${errorName(code)}`);
    }
    return topic;
  }

  /** Where a broker is, as learned from metadata or from the hint in an answer. */
  learnNode(node: BrokerNode): void {
    this.#nodes.set(node.nodeId, node);
  }

  /** Sends to one broker; rejects when it cannot be reached or does not answer. Errors inside the answer stay there. */
  async request<Args extends unknown[], Answer>(
    nodeId: number,
    api: KafkaApi<Args, Answer>,
    ...args: Args
  ): Promise<Answer> {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw new Error(`broker ${nodeId} is not in the cluster's metadata`);
    const connection = await this.#pool.get({ host: node.host, port: node.port });
    return answerOf(api.async(connection, ...args));
  }

  /** To whichever broker answers first; for requests that every broker takes. */
  async requestAny<Args extends unknown[], Answer>(api: KafkaApi<Args, Answer>, ...args: Args): Promise<Answer> {
    if (this.#nodes.size === 0) await this.metadata([]);
    let last = new Error('no broker is known');
    for (const nodeId of [...this.#nodes.keys()]) {
      try {
        return await this.request(nodeId, api, ...args);
      } catch (error) {
        last = error as Error;
      }
    }
    throw new CliError(`no broker answers at ${this.#bootstrap}: ${reasonOf(last)}`, exitCode.unreachable);
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#metadataPool.close(), this.#pool.close()]);
  }
}

/** The package throws an answer that contains any error; here an answer is an answer. */
async function answerOf<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof kafka.ResponseError) return error.response as Answer;
    throw error;
  }
}

/** The innermost sentence of the package's nested errors, such as `connect ECONNREFUSED 127.0.0.1:9092`. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors.at(-1));
  if (error instanceof Error) return error.cause instanceof Error ? reasonOf(error.cause) : error.message || error.name;
  return String(error);
}
