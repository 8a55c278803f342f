/**
 * Which parts of the broker do `dev` and `start` need? Their shapes, until the files named here are there; then the
 * commands import those and this file goes.
 */
import type { Clock, Timers } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import type { HttpServers } from '../env/http.ts';
import type { Logger } from '../env/logger.ts';
import type { Network } from '../env/network.ts';
import type { Random } from '../env/random.ts';
import type { SocketListener } from '../env/socket-listener.ts';
import type { BrokerConfig } from '../model/config/broker-config.ts';
import type { ControlledCluster } from './dev-control.ts';

export interface Environment {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly network: Network;
  readonly socketListener: SocketListener;
  readonly httpServers: HttpServers;
  readonly logger: Logger;
}

export interface DevClusterOptions {
  readonly brokers: number;
  /** Absolute; each broker has a directory in it. */
  readonly dataDirectory: string;
  readonly host: string;
  /** The first broker's; the others take the following ones. 0: any free ports. */
  readonly port: number;
  /** Kafka's names; the same for every broker. */
  readonly config: Readonly<Record<string, string>>;
}

export interface DevCluster extends ControlledCluster {
  stop(): Promise<void>;
}

export interface RunningBroker {
  stop(): Promise<void>;
}

const load = async (specifier: string): Promise<Record<string, unknown>> => import(specifier);

export async function startDevCluster(options: DevClusterOptions, environment: Environment): Promise<DevCluster> {
  const { startDevCluster: start } = await load(new URL('../broker/dev-cluster.ts', import.meta.url).href);
  return (start as typeof startDevCluster)(options, environment);
}

export async function startBroker(config: BrokerConfig, environment: Environment): Promise<RunningBroker> {
  const { startBroker: start } = await load(new URL('../broker/node.ts', import.meta.url).href);
  return (start as typeof startBroker)(config, environment);
}
