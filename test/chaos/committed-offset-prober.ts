/**
 * Asks every broker in turn, without a pause longer than some milliseconds, what is committed in every group, and keeps
 * every answer that is one, with its times. A broker that is no coordinator says so; one that tells anything is held to it.
 */
import { offsetFetchApi } from '../../src/wire/messages/09-offset-fetch.ts';
import type { CommittedOffsetAnswer } from '../support/history-checker.ts';
import { sleepMs } from '../support/raw-cluster.ts';
import { WireClient } from '../support/wire-client.ts';
import { monotonicMs } from './clients/steady-sender.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

const pauseMs = 10;

export class CommittedOffsetProber {
  readonly answers: CommittedOffsetAnswer[] = [];
  readonly #brokers: readonly Address[];
  readonly #clients = new Map<Address, WireClient>();
  readonly #known = new Map<string, Set<string>>();
  readonly #base = new Map<string, number>();
  readonly #progress = new Map<string, number>();
  #sinceMs = 0;
  #groups: readonly string[] = [];
  #loops: Promise<void>[] = [];
  #isStopping = false;

  constructor(brokers: readonly Address[]) {
    this.#brokers = brokers;
  }

  start(groups: readonly string[]): void {
    this.#groups = groups;
    this.#loops = this.#brokers.map((broker) => this.#probe(broker));
  }

  /** Asks everybody once more, by the way. */
  async round(): Promise<void> {
    await Promise.all(this.#brokers.map((broker) => this.#ask(broker).catch(() => undefined)));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    for (const client of this.#clients.values()) client.close();
  }

  /** From now on, watches for commits that are accepted. */
  expectProgress(): void {
    this.#sinceMs = monotonicMs();
    this.#base.clear();
    this.#progress.clear();
  }

  /** When a committed offset of the group was told first that is larger than one told since `expectProgress`. */
  progressMs(group: string): number | null {
    return this.#progress.get(group) ?? null;
  }

  async #probe(broker: Address): Promise<void> {
    while (!this.#isStopping) {
      await this.#ask(broker).catch(() => this.#drop(broker));
      await sleepMs(pauseMs);
    }
  }

  #drop(broker: Address): void {
    this.#clients.get(broker)?.close();
    this.#clients.delete(broker);
  }

  async #ask(broker: Address): Promise<void> {
    let client = this.#clients.get(broker);
    if (client === undefined || client.isClosed) {
      client = await WireClient.open(broker, 'prober');
      this.#clients.set(broker, client);
    }
    const fromMs = monotonicMs();
    const asked = this.#groups.map((groupId) => ({ groupId, topics: null }));
    const { groups } = await client.ask(offsetFetchApi, 9, { groups: asked });
    const untilMs = monotonicMs();
    const reader = `${broker.host}:${broker.port}`;
    for (const { groupId: group, errorCode, topics } of groups) {
      if (errorCode !== 0) continue;
      const told = new Map<string, number>();
      for (const { name, partitions } of topics)
        for (const { partitionIndex, committedOffset } of partitions)
          told.set(`${name}:${partitionIndex}`, Number(committedOffset));
      // Asked for all, told of some: that the others have no offset is an answer too, once they had one.
      const known = this.#known.get(group) ?? new Set<string>();
      this.#known.set(group, known);
      for (const partition of told.keys()) known.add(partition);
      for (const partition of known)
        this.#keep({ reader, group, partition, offset: told.get(partition) ?? -1, fromMs, untilMs });
    }
  }

  #keep(answer: CommittedOffsetAnswer): void {
    this.answers.push(answer);
    const { group, partition, offset, fromMs, untilMs } = answer;
    if (fromMs < this.#sinceMs) return;
    const key = `${group}\0${partition}`;
    const base = this.#base.get(key);
    if (base === undefined) this.#base.set(key, offset);
    else if (offset > base && !this.#progress.has(group)) this.#progress.set(group, untilMs);
  }
}
