/** Which real clock, network and disk does a broker get? All of `env/node/`, chosen in one place. */
import type { BrokerEnvironment } from '../broker/node.ts';
import type { Logger } from '../env/logger.ts';
import { nodeClock } from '../env/node/clock.ts';
import { nodeDisk } from '../env/node/disk.ts';
import { nodeHttpServers } from '../env/node/http.ts';
import { nodeNetwork } from '../env/node/network.ts';
import { nodeRandom } from '../env/node/random.ts';
import { nodeSocketListener } from '../env/node/socket-listener.ts';
import { nodeTimers } from '../env/node/timers.ts';

export const realEnvironment = (logger: Logger): BrokerEnvironment => ({
  clock: nodeClock,
  timers: nodeTimers,
  random: nodeRandom,
  disk: nodeDisk,
  network: nodeNetwork,
  socketListener: nodeSocketListener,
  httpServers: nodeHttpServers,
  logger,
});
