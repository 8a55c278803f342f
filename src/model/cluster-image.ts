/**
 * What the cluster looks like at one revision of the metadata store. Every broker holds one and applies changes to it
 * in revision order; it routes requests, makes leaders and followers, and answers Metadata. The controller decides over
 * the same image. It never waits and never writes.
 */
import { assert } from './assert.ts';
import { type BrokerId, noBroker, type Revision, revision, type TopicId } from './brands.ts';
import {
  type BrokerRecord,
  type ClusterRecord,
  type ConfigKind,
  type ConfigRecord,
  type ControllerRecord,
  decodeEntry,
  type MetadataEntry,
  type PartitionRecord,
  type TopicRecord,
} from './metadata-schema.ts';

/** A key of the store as a read or a watch gives it. */
export interface StoredEntry {
  readonly key: string;
  readonly value: string | null;
  readonly modRevision: Revision;
}

/** A record and the revision that last wrote its key: what a transaction compares. */
export interface Versioned<Record> {
  readonly record: Record;
  readonly modRevision: Revision;
}

export interface TopicImage {
  readonly id: TopicId;
  readonly record: TopicRecord;
  readonly modRevision: Revision;
  /** By partition number; a hole where its key has not been seen. */
  readonly partitions: (Versioned<PartitionRecord> | undefined)[];
}

const noConfig: ConfigRecord = Object.freeze({});

export class ClusterImage {
  /** The revision up to which all changes are in. */
  revision: Revision = revision(0);
  cluster: ClusterRecord | null = null;
  controller: Versioned<ControllerRecord> | null = null;
  readonly brokers = new Map<BrokerId, Versioned<BrokerRecord>>();
  /** Broker ids whose lease key is there: a hint to probe, never proof (I7). */
  readonly live = new Map<BrokerId, string>();
  readonly topics = new Map<TopicId, TopicImage>();
  readonly topicIds = new Map<string, Versioned<TopicId>>();
  readonly configs = new Map<string, Versioned<ConfigRecord>>();
  nextBrokerEpoch: Versioned<number> | null = null;
  nextProducerId: Versioned<number> | null = null;
  /** Partition records whose topic key has not been seen (yet): they do not exist for brokers (§2.9). */
  readonly #orphans = new Map<TopicId, (Versioned<PartitionRecord> | undefined)[]>();

  /** All entries of one read at one revision, into an empty image. */
  static from(entries: readonly StoredEntry[], at: Revision): ClusterImage {
    const image = new ClusterImage();
    for (const entry of entries) image.#applyOne(entry);
    image.revision = at;
    return image;
  }

  /** All changes of one revision; returns them decoded, for those who act on what changed. */
  apply(at: Revision, changes: readonly StoredEntry[]): MetadataEntry[] {
    assert(at > this.revision, `revision ${at} after ${this.revision}: metadata must come in order`);
    const decoded = changes.map((change) => this.#applyOne(change));
    this.revision = at;
    return decoded;
  }

  #applyOne({ key, value, modRevision }: StoredEntry): MetadataEntry {
    const entry = decodeEntry(key, value);
    switch (entry.kind) {
      case 'cluster':
        this.cluster = entry.value;
        break;
      case 'controller':
        this.controller = entry.value && { record: entry.value, modRevision };
        break;
      case 'nextBrokerEpoch':
        this.nextBrokerEpoch = entry.value === null ? null : { record: entry.value, modRevision };
        break;
      case 'nextProducerId':
        this.nextProducerId = entry.value === null ? null : { record: entry.value, modRevision };
        break;
      case 'broker':
        if (entry.value) this.brokers.set(entry.id, { record: entry.value, modRevision });
        else this.brokers.delete(entry.id);
        break;
      case 'live':
        if (entry.value) this.live.set(entry.id, entry.value.incarnation);
        else this.live.delete(entry.id);
        break;
      case 'topic':
        this.#applyTopic(entry.id, entry.value, modRevision);
        break;
      case 'name':
        if (entry.value) this.topicIds.set(entry.name, { record: entry.value, modRevision });
        else this.topicIds.delete(entry.name);
        break;
      case 'partition':
        this.#partitionsOf(entry.topicId)[entry.partition] = entry.value
          ? { record: entry.value, modRevision }
          : undefined;
        break;
      case 'config': {
        const name = configKey(entry.configKind, entry.name);
        if (entry.value) this.configs.set(name, { record: entry.value, modRevision });
        else this.configs.delete(name);
        break;
      }
      case 'unknown':
        break;
    }
    return entry;
  }

  #applyTopic(id: TopicId, record: TopicRecord | null, modRevision: Revision): void {
    const partitions = this.#partitionsOf(id);
    if (record) {
      this.#orphans.delete(id);
      this.topics.set(id, { id, record, modRevision, partitions });
    } else {
      this.topics.delete(id);
      if (partitions.some((partition) => partition !== undefined)) this.#orphans.set(id, partitions);
    }
  }

  #partitionsOf(id: TopicId): (Versioned<PartitionRecord> | undefined)[] {
    const known = this.topics.get(id)?.partitions ?? this.#orphans.get(id);
    if (known) return known;
    const fresh: (Versioned<PartitionRecord> | undefined)[] = [];
    this.#orphans.set(id, fresh);
    return fresh;
  }

  topicByName(name: string): TopicImage | undefined {
    const id = this.topicIds.get(name);
    return id && this.topics.get(id.record);
  }

  partition(id: TopicId, partition: number): Versioned<PartitionRecord> | undefined {
    return this.topics.get(id)?.partitions[partition];
  }

  /** Partition records without a topic key, which reconciliation deletes. */
  orphanedPartitions(): ReadonlyMap<TopicId, readonly (Versioned<PartitionRecord> | undefined)[]> {
    return this.#orphans;
  }

  config(kind: ConfigKind, name: string): ConfigRecord {
    return this.configs.get(configKey(kind, name))?.record ?? noConfig;
  }

  isActive(id: BrokerId): boolean {
    return this.brokers.get(id)?.record.state === 'active';
  }

  /** Registered and not fenced: what Metadata lists. */
  isUnfenced(id: BrokerId): boolean {
    const broker = this.brokers.get(id);
    return broker !== undefined && broker.record.state !== 'fenced';
  }

  controllerId(): BrokerId {
    return this.controller?.record.brokerId ?? noBroker;
  }

  /** The mod revision of `ctl/leader`; 0 while there is no controller. */
  controllerEpoch(): Revision {
    return this.controller?.modRevision ?? revision(0);
  }
}

const configKey = (kind: ConfigKind, name: string): string => `${kind}/${name}`;
