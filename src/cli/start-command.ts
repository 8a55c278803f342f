/** `cordwood start`: one broker of a cluster, as `server.properties`, variables and flags describe it. */
import { resolve } from 'node:path';
import { startBroker } from '../broker/node.ts';
import { nodeClock } from '../env/node/clock.ts';
import type { LogLevel } from '../env/node/log-level.ts';
import { createPinoLogger } from '../env/node/pino-logger.ts';
import { type ConfigSources, loadBrokerConfig } from '../model/config/broker-config.ts';
import { CliError } from './exit-code.ts';
import { realEnvironment } from './real-environment.ts';
import { firstStopSignal } from './stop-signals.ts';

export interface StartOptions {
  /** Path of server.properties; without one, variables and flags say it all. */
  readonly config?: string;
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly logLevel: LogLevel;
}

export async function runStart(options: StartOptions, version: string): Promise<void> {
  const stopSignal = firstStopSignal(nodeClock);
  const logger = createPinoLogger(options.logLevel);
  const environment = realEnvironment(logger);
  const sources: ConfigSources = { environment: process.env, flags: Object.fromEntries(options.set) };
  const config = loadBrokerConfig(
    options.config === undefined ? sources : { ...sources, file: await readProperties(options.config) },
  );
  for (const warning of config.warnings) logger.warn({}, warning);
  logger.info({ version, nodeId: config.values['node.id'], pid: process.pid }, 'starting');
  const broker = await startBroker(config, environment);
  const ended = new Promise<never>((_, reject) => {
    broker.onEnded((reason) => reject(new CliError(`broker ${config.values['node.id']} ended: ${reason}`)));
  });
  const signal = await Promise.race([stopSignal, ended]);
  logger.info({ signal }, 'stopping');
  await broker.stop();
  logger.info({}, 'stopped');

  async function readProperties(path: string): Promise<{ name: string; text: string }> {
    try {
      return { name: path, text: (await environment.disk.readFile(resolve(path))).toString('utf8') };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new CliError(`--config ${path}: ${code === 'ENOENT' ? 'there is no such file' : message}`);
    }
  }
}
