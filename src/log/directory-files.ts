/**
 * What do the files at the root of a data directory say? Kafka's own (kafka-protocol.md c.5) and three of ours:
 *
 *     meta.properties            version, cluster.id, node.id, directory.id
 *     .kafka_cleanshutdown       {"version":0,"brokerEpoch":N}: the last stop was clean; gone while the broker runs
 *     .cordwood-boot             the kernel's boot id during the last run: the same one now means a killed process only
 *     metadata-revision          the highest revision of the metadata store that was seen here (I4)
 *     high-watermark-epoch       <topicId> <partition> <highWatermark> <leaderEpoch>, CRC-32C in the last line (I15)
 */
import { type BrokerEpoch, brokerEpoch, type LeaderEpoch, leaderEpoch, type Offset, offset } from '../model/brands.ts';
import { crc32c } from '../records/crc32c.ts';

export const metaPropertiesName = 'meta.properties';
export const cleanShutdownName = '.kafka_cleanshutdown';
export const bootName = '.cordwood-boot';
export const revisionName = 'metadata-revision';
export const highWatermarkEpochName = 'high-watermark-epoch';
export const recoveryPointName = 'recovery-point-offset-checkpoint';
export const highWatermarkName = 'replication-offset-checkpoint';
export const logStartName = 'log-start-offset-checkpoint';
export const cleanerOffsetName = 'cleaner-offset-checkpoint';
export const lockName = '.lock';
/** A new one with each start of the machine; Linux only. */
export const bootIdPath = '/proc/sys/kernel/random/boot_id';

export interface MetaProperties {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly directoryId: string;
}

export const formatMetaProperties = ({ clusterId, nodeId, directoryId }: MetaProperties): string =>
  `version=1\ncluster.id=${clusterId}\nnode.id=${nodeId}\ndirectory.id=${directoryId}\n`;

/** null where a line is missing. Java escapes `=` and `:` in properties with a backslash. */
export function parseMetaProperties(text: string): MetaProperties | null {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*([^#!=\s]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) values.set(match[1], match[2].replace(/\\(.)/g, '$1'));
  }
  const clusterId = values.get('cluster.id');
  const nodeId = values.get('node.id') ?? values.get('broker.id');
  const directoryId = values.get('directory.id');
  if (clusterId === undefined || nodeId === undefined || directoryId === undefined || !/^\d+$/.test(nodeId))
    return null;
  return { clusterId, nodeId: Number(nodeId), directoryId };
}

export const formatCleanShutdown = (epoch: BrokerEpoch): string => JSON.stringify({ version: 0, brokerEpoch: epoch });

export function parseCleanShutdown(text: string): BrokerEpoch | null {
  try {
    const { version, brokerEpoch: epoch } = JSON.parse(text) as { version?: unknown; brokerEpoch?: unknown };
    return version === 0 && Number.isSafeInteger(epoch) && Number(epoch) >= -1 ? brokerEpoch(Number(epoch)) : null;
  } catch {
    return null;
  }
}

export interface HighWatermark {
  readonly highWatermark: Offset;
  /** The epoch under which it was learned; -1 where only Kafka's checkpoint tells of it. */
  readonly leaderEpoch: LeaderEpoch;
}

const checksumOf = (text: string): string => crc32c(Buffer.from(text)).toString(16).padStart(8, '0');

/** Keys are `<topicId>/<partition>`. */
export function formatHighWatermarks(all: ReadonlyMap<string, HighWatermark>): string {
  let text = '1\n';
  for (const [key, { highWatermark, leaderEpoch: epoch }] of all)
    text += `${key.replace('/', ' ')} ${highWatermark} ${epoch}\n`;
  return `${text}${checksumOf(text)}\n`;
}

/** null where the file is damaged. */
export function parseHighWatermarks(text: string): Map<string, HighWatermark> | null {
  const end = text.lastIndexOf('\n', text.length - 2) + 1;
  const body = text.slice(0, end);
  if (!body.startsWith('1\n') || text.slice(end).trim() !== checksumOf(body)) return null;
  const all = new Map<string, HighWatermark>();
  for (const line of body.split('\n').slice(1, -1)) {
    const [topicId, partition, highWatermark, epoch] = line.split(' ');
    all.set(`${topicId}/${partition}`, {
      highWatermark: offset(Number(highWatermark)),
      leaderEpoch: leaderEpoch(Number(epoch)),
    });
  }
  return all;
}
