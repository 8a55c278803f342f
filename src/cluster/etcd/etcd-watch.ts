/**
 * A watch that outlives its streams: each goes to the member that is current, is given up when it ends or falls silent,
 * and is replaced by one that starts after the last revision handed out.
 *
 *     connecting → open      the server says "created"
 *     open → connecting      the stream ends, or says nothing for `silentProbesLimit` probes
 *     any → closed           by the caller, or because what it needs has been compacted
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Watch, WatchListener } from '../../controller/metadata-store.ts';
import type { Clock, Timer, Timers } from '../../env/clock.ts';
import type { Logger } from '../../env/logger.ts';
import type { Revision } from '../../model/brands.ts';
import { etcdApi, type WatchRequest, type WatchResponse } from './etcd-api.ts';
import type { EtcdMember, EtcdMembers } from './etcd-members.ts';
import { WatchAssembler } from './watch-assembler.ts';

export interface EtcdWatchOptions {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  readonly keyOverheadBytes: number;
  readonly after: Revision;
  /** True where the store is found to be older than `revision`: it was restored, and the watch would wait for ever. */
  hasGoneBack(revision: Revision): Promise<boolean>;
  onClosed(): void;
}

export interface EtcdStreamModules {
  readonly members: EtcdMembers;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** A silent stream is asked for its progress this often, which a member that runs answers by itself, leader or not. */
const probeMs = 500;
/** Counted in probes and not in time, so that a stall of our own is not taken for the member's. */
const silentProbesLimit = 3;
const firstBackoffMs = 20;
const longestBackoffMs = 1_000;

type WatchStream = ClientDuplexStream<WatchRequest, WatchResponse>;

export class EtcdWatch implements Watch {
  readonly #options: EtcdWatchOptions;
  readonly #listener: WatchListener;
  readonly #modules: EtcdStreamModules;
  readonly #assembler: WatchAssembler;
  readonly #probe: Timer;
  #stream: WatchStream | null = null;
  #member: EtcdMember | null = null;
  #retry: Timer | null = null;
  #backoffMs = firstBackoffMs;
  #silentProbes = 0;
  #isConnected = false;
  #isClosed = false;

  constructor(options: EtcdWatchOptions, listener: WatchListener, modules: EtcdStreamModules) {
    this.#options = options;
    this.#listener = listener;
    this.#modules = modules;
    this.#assembler = new WatchAssembler(options.after, options.keyOverheadBytes);
    this.#probe = modules.timers.setRepeatingTimer(probeMs, () => this.#onProbe());
    this.#open();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#probe.cancel();
    this.#retry?.cancel();
    this.#dropStream();
    this.#options.onClosed();
  }

  #open(): void {
    const { members } = this.#modules;
    const member = members.current;
    const stream = members.openStream(member, etcdApi.watch);
    this.#stream = stream;
    this.#member = member;
    this.#silentProbes = 0;
    stream.on('data', (response: WatchResponse) => {
      if (this.#stream === stream) this.#onResponse(response);
    });
    stream.on('error', (error) => {
      if (this.#stream === stream) this.#onBroken(error.message);
    });
    stream.on('end', () => {
      if (this.#stream === stream) this.#onBroken('the server ended the stream');
    });
    const { key, rangeEnd } = this.#options;
    const startRevision = this.#assembler.delivered + 1;
    stream.write({
      createRequest: { key, rangeEnd, startRevision, fragment: true, progressNotify: true },
      progressRequest: null,
    });
  }

  #onResponse(response: WatchResponse): void {
    this.#silentProbes = 0;
    if (response.created && !response.canceled) this.#onCreated(response);
    for (const events of this.#assembler.add(response)) {
      if (this.#isClosed) return;
      this.#listener.onEvents(events);
    }
    if (!response.canceled || this.#isClosed) return;
    if (response.compactRevision > 0) this.#endAsCompacted();
    else this.#onBroken(response.cancelReason || 'the server cancelled the watch');
  }

  #onCreated({ header }: WatchResponse): void {
    this.#backoffMs = firstBackoffMs;
    if (!this.#isConnected) {
      this.#isConnected = true;
      this.#listener.onState(true);
    }
    const { delivered } = this.#assembler;
    // Either this member lags, which it makes good, or the store was restored and never gets here again (I4).
    if (header && header.revision < delivered) void this.#checkForRestore(delivered);
  }

  async #checkForRestore(delivered: Revision): Promise<void> {
    // The caller learns the rest from the read that follows.
    if ((await this.#options.hasGoneBack(delivered)) && !this.#isClosed) this.#endAsCompacted();
  }

  #endAsCompacted(): void {
    this.close();
    this.#listener.onCompacted();
  }

  #onProbe(): void {
    if (!this.#stream || !this.#member) return;
    this.#silentProbes++;
    if (this.#silentProbes > silentProbesLimit) {
      this.#modules.members.abandon(this.#member);
      this.#onBroken(`nothing heard for ${this.#silentProbes * probeMs} ms`);
    } else if (this.#silentProbes > 1) this.#stream.write({ createRequest: null, progressRequest: {} });
  }

  #onBroken(reason: string): void {
    const { members, timers, logger } = this.#modules;
    const member = this.#member;
    this.#dropStream();
    if (member) members.moveOn(member);
    logger.debug({ endpoint: member?.endpoint, reason }, 'the watch of the metadata store was cut');
    if (this.#isConnected) {
      this.#isConnected = false;
      this.#listener.onState(false);
    }
    // The listener may have closed the watch.
    if (this.#isClosed) return;
    this.#retry = timers.setTimer(this.#backoffMs, () => this.#open());
    this.#backoffMs = Math.min(this.#backoffMs * 2, longestBackoffMs);
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#assembler.cut();
    stream?.cancel();
  }
}
