/**
 * DescribeConfigs 1–4: a topic's values and where each comes from; a broker's own (answered by that broker alone); those of
 * a group. KIP-226 (1: sources and synonyms), KIP-569 (3: types and documentation), KIP-848 (groups).
 */
import { brokerConfigKeys, effectiveTopicConfig } from '../../model/config/broker-config.ts';
import { type ConfigKey, configTypeNumber, formatConfigValue } from '../../model/config/config-key.ts';
import { type TopicConfigName, topicConfigKeys } from '../../model/config/topic-config.ts';
import { BrokerError } from '../../model/fault.ts';
import { topicNameProblem } from '../../model/topic-partition.ts';
import type { Item } from '../../wire/field.ts';
import {
  type DescribeConfigsRequest,
  type DescribeConfigsResponseInput,
  describeConfigsApi,
} from '../../wire/messages/32-describe-configs.ts';
import { errorCodeOf, errorMessageOf, faultOf, unknownServerError } from '../kafka-errors.ts';
import { type BrokerServices, serve } from '../services.ts';

type Config = Item<Item<DescribeConfigsResponseInput['results']>['configs']>;

const topicResource = 2;
const brokerResource = 4;
const groupResource = 32;
const staticBrokerSource = 4;
const defaultSource = 5;

interface Wanted {
  readonly names: readonly string[] | null;
  readonly synonyms: boolean;
  readonly documentation: boolean;
}
const isWanted = (wanted: Wanted, name: string): boolean => wanted.names === null || wanted.names.includes(name);

function topicConfigs(services: BrokerServices, name: string, wanted: Wanted): Config[] {
  const problem = topicNameProblem(name);
  if (problem) throw new BrokerError({ code: 'INVALID_TOPIC', reason: problem });
  const image = services.image();
  if (!image.topicByName(name)) throw new BrokerError({ code: 'UNKNOWN_TOPIC_OR_PARTITION' });
  const set = image.config('topic', name);
  return (Object.keys(topicConfigKeys) as TopicConfigName[])
    .filter((key) => isWanted(wanted, key))
    .map((key) => {
      const { value, source, synonyms } = effectiveTopicConfig(key, set, services.config);
      return {
        name: key,
        value: formatConfigValue(value),
        readOnly: false,
        configSource: source,
        isSensitive: false,
        synonyms: wanted.synonyms
          ? synonyms.map((one) => ({ name: one.name, value: formatConfigValue(one.value), source: one.source }))
          : [],
        configType: configTypeNumber[topicConfigKeys[key].type],
        documentation: wanted.documentation ? topicConfigKeys[key].doc : null,
      };
    });
}

function brokerConfigs(services: BrokerServices, name: string, wanted: Wanted): Config[] {
  if (name !== '' && name !== String(services.localId))
    throw new BrokerError({
      code: 'INVALID_REQUEST',
      reason: `broker ${services.localId} answers for itself alone, not for ${name}`,
    });
  // The cluster-wide defaults (empty name) are only what was changed at run time: nothing yet.
  if (name === '') return [];
  return Object.values(brokerConfigKeys)
    .filter((key) => isWanted(wanted, key.name))
    .map((key) => brokerConfig(services, key, wanted));
}

function brokerConfig({ config }: BrokerServices, key: ConfigKey, wanted: Wanted): Config {
  const { name } = key;
  const set = config.set.get(name);
  const source = set ? staticBrokerSource : defaultSource;
  const value = formatConfigValue(set ? set.value : key.default);
  const fallback = { name, value: formatConfigValue(key.default), source: defaultSource };
  return {
    name,
    value,
    readOnly: true,
    configSource: source,
    isSensitive: key.type === 'password',
    synonyms: wanted.synonyms ? (set ? [{ name, value, source }, fallback] : [fallback]) : [],
    configType: configTypeNumber[key.type],
    documentation: wanted.documentation ? key.doc : null,
  };
}

/** What Kafka lets be set for one group, by the broker's key that holds here for all. */
const groupKeyNames = new Map([
  ['group.consumer.heartbeat.interval.ms', 'consumer.heartbeat.interval.ms'],
  ['group.consumer.session.timeout.ms', 'consumer.session.timeout.ms'],
]);

/** Of any name, whether there is such a group or not, as Kafka: it may be configured before it has members. */
function groupConfigs(services: BrokerServices, group: string, wanted: Wanted): Config[] {
  if (group === '') throw new BrokerError({ code: 'INVALID_REQUEST', reason: 'a group has a name' });
  return Object.values(brokerConfigKeys).flatMap((key) => {
    const name = groupKeyNames.get(key.name);
    if (name === undefined || !isWanted(wanted, name)) return [];
    return [{ ...brokerConfig(services, key, wanted), name, readOnly: false }];
  });
}

const configsOf = new Map([
  [topicResource, topicConfigs],
  [brokerResource, brokerConfigs],
  [groupResource, groupConfigs],
]);

function describe(
  services: BrokerServices,
  request: DescribeConfigsRequest,
  resource: Item<DescribeConfigsRequest['resources']>,
) {
  const { resourceType, resourceName, configurationKeys: names } = resource;
  const wanted: Wanted = { names, synonyms: request.includeSynonyms, documentation: request.includeDocumentation };
  try {
    const describing = configsOf.get(resourceType);
    if (!describing)
      throw new BrokerError({ code: 'INVALID_REQUEST', reason: `resource type ${resourceType} is not served` });
    const configs = describing(services, resourceName, wanted);
    return { errorCode: 0, errorMessage: '', resourceType, resourceName, configs };
  } catch (error) {
    const fault = faultOf(error, services.logger);
    const errorCode = fault ? errorCodeOf(fault) : unknownServerError;
    return { errorCode, errorMessage: fault && errorMessageOf(fault), resourceType, resourceName, configs: [] };
  }
}

export const describeConfigs = serve(describeConfigsApi, (services, request) => ({
  results: request.resources.map((resource) => describe(services, request, resource)),
}));
