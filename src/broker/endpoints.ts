/** Where this broker listens and what it tells others, out of `listeners` and `advertised.listeners`. */
import { type Address, parseAddress } from '../env/network.ts';
import type { BrokerConfig } from '../model/config/broker-config.ts';
import { ConfigError } from '../model/config/config-key.ts';
import type { Endpoint } from '../model/metadata-schema.ts';

export interface NamedListener {
  readonly name: string;
  readonly address: Address;
}

/** `NAME://host:port` texts; throws a ConfigError naming the key. */
function parseListeners(key: string, texts: readonly string[]): NamedListener[] {
  const parsed = texts.map((text) => {
    const match = /^([A-Za-z0-9_-]+):\/\/(.*)$/.exec(text);
    if (!match) throw new ConfigError(key, text, 'must be NAME://host:port');
    const [, name = '', address = ''] = match;
    try {
      return { name: name.toUpperCase(), address: parseAddress(address) };
    } catch (error) {
      throw new ConfigError(key, text, (error as Error).message);
    }
  });
  const names = parsed.map((one) => one.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw new ConfigError(key, texts.join(','), `the listener name ${twice} stands twice`);
  return parsed;
}

export function listenersOf(config: BrokerConfig): NamedListener[] {
  const listeners = parseListeners('listeners', config.values.listeners);
  if (listeners.length === 0) throw new ConfigError('listeners', '', 'at least one is needed');
  return listeners;
}

const isEveryInterface = (host: string): boolean => host === '' || host === '0.0.0.0' || host === '::';

/**
 * What clients are told, per listener name; ports that the system chose are in `bound`. A listener on every interface
 * that advertises nothing is told as localhost.
 */
export function advertisedEndpoints(config: BrokerConfig, bound: readonly NamedListener[]): Endpoint[] {
  const advertised = parseListeners('advertised.listeners', config.values['advertised.listeners']);
  for (const { name } of advertised)
    if (!bound.some((one) => one.name === name))
      throw new ConfigError('advertised.listeners', name, `there is no listener of that name in listeners`);
  return bound.map(({ name, address }) => {
    const told = advertised.find((one) => one.name === name)?.address;
    const host = told?.host ?? address.host;
    return { name, host: isEveryInterface(host) ? 'localhost' : host, port: told?.port || address.port };
  });
}

type AddressKey = 'cordwood.peer.listener' | 'cordwood.peer.advertised' | 'cordwood.http.listener';

function addressOf(config: BrokerConfig, key: AddressKey): Address {
  try {
    return parseAddress(config.values[key]);
  } catch (error) {
    throw new ConfigError(key, config.values[key], (error as Error).message);
  }
}

export const peerAddress = (config: BrokerConfig): Address => addressOf(config, 'cordwood.peer.listener');
export const httpAddress = (config: BrokerConfig): Address => addressOf(config, 'cordwood.http.listener');

export function advertisedPeer(config: BrokerConfig, bound: Address): Endpoint {
  const text = config.values['cordwood.peer.advertised'];
  const told = text === '' ? bound : addressOf(config, 'cordwood.peer.advertised');
  return { name: 'PEER', host: isEveryInterface(told.host) ? 'localhost' : told.host, port: told.port || bound.port };
}
