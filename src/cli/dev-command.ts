/** `cordwood dev`, and `npm start`: a cluster in this process, ready in a fraction of a second, with brokers to kill. */
import { relative, resolve } from 'node:path';
import { type DevCluster, startDevCluster } from '../broker/dev-cluster.ts';
import type { Listener } from '../env/network.ts';
import { nodeClock } from '../env/node/clock.ts';
import { nodeHttpServers } from '../env/node/http.ts';
import { createHumanLogger } from '../env/node/human-logger.ts';
import type { LogLevel } from '../env/node/log-level.ts';
import { answerControl } from './dev-control.ts';
import { CliError, exitCode } from './exit-code.ts';
import { printJson, printLine } from './output.ts';
import { realEnvironment } from './real-environment.ts';
import { firstStopSignal } from './stop-signals.ts';

export interface DevOptions {
  readonly brokers: number;
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly logLevel: LogLevel;
  readonly json: boolean;
}

export async function runDev(options: DevOptions, version: string): Promise<void> {
  if (options.port > 0 && options.port + options.brokers - 1 > 65_535)
    throw new CliError(`--port ${options.port}: there are not ${options.brokers} ports from there on`, exitCode.usage);
  const stopSignal = firstStopSignal(nodeClock);
  const logger = createHumanLogger(
    { level: options.logLevel, hasColour: process.stderr.isTTY === true },
    nodeClock,
    (line) => process.stderr.write(line),
  );
  const cluster = await startDevCluster(
    {
      brokers: options.brokers,
      dataDirectory: resolve(options.data),
      host: options.host,
      port: options.port,
      config: Object.fromEntries(options.set),
    },
    realEnvironment(logger),
  );
  let control: Listener;
  try {
    control = await nodeHttpServers.listen({ host: '127.0.0.1', port: options.httpPort }, (request) =>
      answerControl(cluster, request),
    );
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  announce(cluster, control, options, version);
  await stopSignal;
  if (!options.json) printLine('\nstopping …');
  await control.close();
  await cluster.stop();
  if (!options.json) printLine(`stopped; the data stays in ${shownPath(options.data)}`);
}

/** Relative where that is shorter to read, absolute where it would lead out of here. */
function shownPath(path: string): string {
  const fromHere = relative('', resolve(path));
  return fromHere.startsWith('..') ? `${resolve(path)}/` : `${fromHere || '.'}/`;
}

function announce(cluster: DevCluster, control: Listener, options: DevOptions, version: string): void {
  const addresses = cluster.brokers().map(({ address }) => address);
  const bootstrap = addresses.join(',');
  const controlUrl = `http://127.0.0.1:${control.address.port}`;
  if (options.json) return printJson({ event: 'started', version, bootstrap: addresses, control: controlUrl });
  // From a checkout the program is reached through npm, which finds the right Node for it.
  const cordwood = import.meta.url.endsWith('.ts') ? 'npm run -s cordwood --' : 'cordwood';
  const brokerWord = options.brokers === 1 ? '1 broker' : `${options.brokers} brokers`;
  // The monotonic clock of a process begins with it.
  const seconds = (nodeClock.monotonicMs() / 1000).toFixed(2);
  const isDefaultPort = options.port === 9092;
  const where = isDefaultPort ? '' : ` -b ${addresses[0]}`;
  const whichControl = options.httpPort === 9644 ? '' : ` --control ${controlUrl}`;
  printLine(`Cordwood ${version}: ${brokerWord} in one process, ready after ${seconds} s

  bootstrap servers   ${bootstrap}
  advertised          ${cluster
    .brokers()
    .map(({ id, address }) => `${id} at ${address}`)
    .join(', ')}
  health and control  ${controlUrl}
  data                ${shownPath(options.data)}

Try, in another terminal:
  echo hello | ${cordwood} produce greetings${where}
  ${cordwood} consume greetings --exit-at-end${where}
  ${cordwood} broker kill 1${whichControl}

Any Kafka client works: kcat -b ${addresses[0]} -L
Ctrl-C stops the cluster.`);
}
