/**
 * The leader's end of one follower's stream (§2.6): who is at the other end, which partitions it has attached, and
 * what is sent next. It reads logs and fills messages; whether a follower may attach and what its acks mean is
 * decided by each partition's LeaderState.
 *
 *   bytes in flight on a stream ≤ the credit the follower gave, bytes queued here or being read ≤ queuedLimitBytes;
 *   the last read begun may go beyond
 *   attached partitions with news wait in one line, so that a busy one cannot starve the others
 */
import type { Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { BrokerEpoch, BrokerId, Offset } from '../model/brands.ts';
import { noBroker, noBrokerEpoch, noLeaderEpoch } from '../model/brands.ts';
import type { ReplicationStream, ReplicationStreamHandler } from './replication-channel.ts';
import type { FollowerMessage, LeaderMessage } from './replication-messages.ts';

/** What the session reads of an attached partition. */
export interface SendingReplica {
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  /** Whole batches from `from` on, at least one where there is one. */
  readForFollower(from: Offset, maxBytes: number): FollowerRead | Promise<FollowerRead>;
  onAck(streamId: number, attachId: number, logEndOffset: Offset): void;
  /**
   * The follower has attached it still, and answered what it was asked at `sentMs`, on the monotonic clock, after `question`
   * was to be asked (`LeaderSession.ask`; 0 for none).
   */
  onHeard(follower: BrokerId, sentMs: number, question: number): void;
  onDetached(streamId: number, attachId: number): void;
}

export interface FollowerRead {
  readonly chunks: readonly Buffer[];
  readonly byteLength: number;
  readonly nextOffset: Offset;
}

/** One partition that the follower copies over this stream. */
interface Attachment {
  readonly attachId: number;
  readonly replica: SendingReplica;
  nextOffset: Offset;
  sentHighWatermark: Offset;
  sentLogStartOffset: Offset;
  /** In the line, or being read. */
  isQueued: boolean;
  /** The newest that is to be asked, and the newest that had been when the last ping was sent; 0 for none. */
  question: number;
  pingedQuestion: number;
}

export type AttachMessage = Extract<FollowerMessage, { kind: 'attach' }>;

/** What a session asks of its broker. */
export interface LeaderSessionHost {
  readonly clusterId: string;
  monotonicMs(): number;
  /** -1 for a broker that is not registered. */
  brokerEpochOf(id: BrokerId): BrokerEpoch;
  onAttach(session: LeaderSession, message: AttachMessage): void;
  /** The follower has taken back an attach request; a partition that had accepted it has been told. */
  onDetached(session: LeaderSession, attachId: number): void;
  onSessionClosed(session: LeaderSession): void;
}

export interface LeaderSessionOptions {
  readonly streamId: number;
  /** Bytes read of one partition for one message, where batches allow. */
  readonly readBytes: number;
  /** Bytes in the stream's queue above which nothing more is read from logs. */
  readonly queuedLimitBytes: number;
  /** How long a new high watermark waits for data to travel with. */
  readonly highWatermarkDelayMs: number;
  /** The least time between two pings. */
  readonly pingIntervalMs: number;
}

export class LeaderSession implements ReplicationStreamHandler<FollowerMessage> {
  readonly streamId: number;
  readonly #options: LeaderSessionOptions;
  readonly #host: LeaderSessionHost;
  readonly #stream: ReplicationStream<LeaderMessage>;
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #attachments = new Map<number, Attachment>();
  readonly #line: Attachment[] = [];
  #follower: BrokerId = noBroker;
  #followerEpoch: BrokerEpoch | null = null;
  /** Said hello with an epoch that this broker's metadata does not show yet. */
  #waitingHello: Extract<FollowerMessage, { kind: 'hello' }> | null = null;
  /** Came before the hello was accepted. */
  #early: FollowerMessage[] = [];
  #credit = 0;
  /** Taken from the credit for reads that have not ended. */
  #readingBytes = 0;
  #isClosed = false;
  #isSendScheduled = false;
  #offsetsTimer: Timer | null = null;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #isPingAnswered = true;
  /** The ping under way is heard of by all that are attached; else by those who asked for it. */
  #isPingForAll = false;
  #lastPingForAllMs = Number.NEGATIVE_INFINITY;
  /** Attachments with a question that no pong has answered. */
  readonly #asking = new Set<Attachment>();

  constructor(
    options: LeaderSessionOptions,
    modules: { host: LeaderSessionHost; stream: ReplicationStream<LeaderMessage>; timers: Timers; logger: Logger },
  ) {
    this.#options = options;
    this.streamId = options.streamId;
    this.#host = modules.host;
    this.#stream = modules.stream;
    this.#timers = modules.timers;
    this.#logger = modules.logger;
  }

  get follower(): BrokerId {
    return this.#follower;
  }
  get followerEpoch(): BrokerEpoch {
    return this.#followerEpoch ?? noBrokerEpoch;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }

  onMessages(messages: readonly FollowerMessage[]): void {
    for (const message of messages) if (!this.#isClosed) this.#onMessage(message);
  }

  #onMessage(message: FollowerMessage): void {
    if (message.kind === 'hello') this.#onHello(message);
    else if (message.kind === 'credit') this.#onCredit(message.bytes);
    else if (message.kind === 'ping') this.send({ kind: 'pong' });
    else if (message.kind === 'pong') this.#onPong();
    else if (this.#followerEpoch === null) this.#holdEarly(message);
    else if (message.kind === 'attach') {
      this.#detach(message.attachId);
      this.#host.onAttach(this, message);
    } else if (message.kind === 'detach') {
      this.#detach(message.attachId);
      this.#host.onDetached(this, message.attachId);
    } else
      this.#attachments.get(message.attachId)?.replica.onAck(this.streamId, message.attachId, message.logEndOffset);
  }

  /** Followers that there is nothing to send to say nothing; their leader has to know that it is not cut off (I19). */
  onTick(nowMs: number): void {
    if (!this.#isPingAnswered || this.#attachments.size === 0) return;
    if (this.#isPingForAllDue(nowMs)) this.#ping(nowMs);
  }

  #isPingForAllDue(nowMs: number): boolean {
    return nowMs - this.#lastPingForAllMs >= this.#options.pingIntervalMs;
  }

  /**
   * Asks whether the follower has the partition attached still, now or as soon as it has answered the ping that is under
   * way: that one was sent before the question. What is asked meanwhile, of whatever partition, is asked together.
   */
  ask(attachId: number, question: number): void {
    const attachment = this.#attachments.get(attachId);
    if (!attachment) return;
    attachment.question = question;
    this.#asking.add(attachment);
    if (this.#isPingAnswered && attachment.pingedQuestion < question) this.#ping(this.#host.monotonicMs());
  }

  #ping(nowMs: number): void {
    this.#lastPingMs = nowMs;
    this.#isPingAnswered = false;
    this.#isPingForAll = this.#isPingForAllDue(nowMs);
    if (this.#isPingForAll) this.#lastPingForAllMs = nowMs;
    for (const attachment of this.#asking) attachment.pingedQuestion = attachment.question;
    this.send({ kind: 'ping' });
  }

  /**
   * What was attached after the ping was sent is attached after it, too. The next ping waits until all have heard. Reads of
   * one partition may ask at every round trip: the thousands that share its stream are told now and then (I19).
   */
  #onPong(): void {
    if (this.#isPingAnswered) return;
    for (const { replica, pingedQuestion } of this.#isPingForAll ? this.#attachments.values() : this.#asking)
      replica.onHeard(this.#follower, this.#lastPingMs, pingedQuestion);
    this.#isPingAnswered = true;
    for (const attachment of this.#asking)
      if (attachment.pingedQuestion === attachment.question) this.#asking.delete(attachment);
    if (this.#asking.size > 0) this.#ping(this.#host.monotonicMs());
  }

  /** A follower need not wait for the answer to its hello; but what it may queue up here is bounded. */
  #holdEarly(message: FollowerMessage): void {
    if (this.#early.length >= 100_000) this.#refuse('too much before hello');
    else this.#early.push(message);
  }

  #onHello(hello: Extract<FollowerMessage, { kind: 'hello' }>): void {
    if (this.#followerEpoch !== null) return this.#refuse('hello was said already');
    if (hello.clusterId !== this.#host.clusterId) return this.#refuse(`this is cluster ${this.#host.clusterId}`);
    const known = this.#host.brokerEpochOf(hello.brokerId);
    if (known > hello.brokerEpoch) return this.#refuse(`broker ${hello.brokerId} has started again since`);
    if (known < hello.brokerEpoch) {
      this.#waitingHello = hello;
      return;
    }
    this.#waitingHello = null;
    this.#follower = hello.brokerId;
    this.#followerEpoch = hello.brokerEpoch;
    this.#stream.send([{ kind: 'helloAnswer', isAccepted: true, reason: '' }]);
    const early = this.#early;
    this.#early = [];
    this.onMessages(early);
  }

  #refuse(reason: string): void {
    this.#logger.warn({ follower: this.#follower, reason }, 'replication stream refused');
    this.#stream.send([{ kind: 'helloAnswer', isAccepted: false, reason }]);
    this.close();
  }

  /** The broker's metadata has moved on: a hello that came too early may be answered now. */
  onMetadataChanged(): void {
    if (this.#waitingHello) this.#onHello(this.#waitingHello);
    else if (this.#followerEpoch !== null && this.#host.brokerEpochOf(this.#follower) > this.#followerEpoch)
      this.close();
  }

  #onCredit(bytes: number): void {
    this.#credit += bytes;
    this.#scheduleSend();
  }

  send(message: LeaderMessage): void {
    if (!this.#isClosed) this.#stream.send([message]);
  }

  /** The partition's LeaderState has accepted the attach: data follows from `nextOffset` on. */
  startSending(
    attachId: number,
    replica: SendingReplica,
    attached: { nextOffset: Offset; highWatermark: Offset; logStartOffset: Offset },
  ): void {
    const attachment: Attachment = {
      attachId,
      replica,
      nextOffset: attached.nextOffset,
      sentHighWatermark: attached.highWatermark,
      sentLogStartOffset: attached.logStartOffset,
      isQueued: false,
      question: 0,
      pingedQuestion: 0,
    };
    this.#forget(attachId);
    this.#attachments.set(attachId, attachment);
    this.onAppended(attachId);
  }

  stopSending(attachId: number): void {
    this.#forget(attachId);
  }

  #forget(attachId: number): Attachment | undefined {
    const attachment = this.#attachments.get(attachId);
    this.#attachments.delete(attachId);
    if (attachment) this.#asking.delete(attachment);
    return attachment;
  }

  #detach(attachId: number): void {
    const attachment = this.#forget(attachId);
    attachment?.replica.onDetached(this.streamId, attachId);
  }

  /** The partition has more records than were sent. */
  onAppended(attachId: number): void {
    const attachment = this.#attachments.get(attachId);
    if (!attachment || attachment.isQueued) return;
    attachment.isQueued = true;
    this.#line.push(attachment);
    this.#scheduleSend();
  }

  /** The partition's high watermark or log start has moved: told with the next data, or alone a little later. */
  onOffsetsMoved(): void {
    this.#offsetsTimer ??= this.#timers.setTimer(this.#options.highWatermarkDelayMs, () => {
      this.#offsetsTimer = null;
      this.#sendOffsets();
    });
  }

  #sendOffsets(): void {
    const messages: LeaderMessage[] = [];
    for (const attachment of this.#attachments.values()) {
      const { replica } = attachment;
      if (
        attachment.sentHighWatermark === replica.highWatermark &&
        attachment.sentLogStartOffset === replica.logStartOffset
      )
        continue;
      if (!attachment.isQueued) messages.push(this.#dataOf(attachment, attachment.nextOffset, []));
    }
    if (messages.length > 0 && !this.#isClosed) this.#stream.send(messages);
  }

  #dataOf(attachment: Attachment, baseOffset: Offset, batches: readonly Buffer[]): LeaderMessage {
    const { attachId, replica } = attachment;
    attachment.sentHighWatermark = replica.highWatermark;
    attachment.sentLogStartOffset = replica.logStartOffset;
    return {
      kind: 'data',
      attachId,
      baseOffset,
      highWatermark: replica.highWatermark,
      logStartOffset: replica.logStartOffset,
      batches,
    };
  }

  /** Once a turn, so that what several partitions appended in it travels together. */
  #scheduleSend(): void {
    if (this.#isSendScheduled || this.#isClosed) return;
    this.#isSendScheduled = true;
    queueMicrotask(() => {
      this.#isSendScheduled = false;
      this.#sendData();
    });
  }

  #sendData(): void {
    const messages: LeaderMessage[] = [];
    let queued = this.#stream.queuedBytes + this.#readingBytes;
    while (this.#line.length > 0 && this.#credit > 0 && queued < this.#options.queuedLimitBytes && !this.#isClosed) {
      const attachment = this.#line.shift();
      if (!attachment || this.#attachments.get(attachment.attachId) !== attachment) continue;
      const read = this.#read(attachment);
      if (read instanceof Promise) {
        queued += this.#options.readBytes;
        void this.#takeLater(attachment, read);
        continue;
      }
      if (read === null) continue;
      queued += read.byteLength;
      this.#take(attachment, read, messages);
    }
    if (messages.length > 0) this.#stream.send(messages);
  }

  #read(attachment: Attachment): FollowerRead | Promise<FollowerRead> | null {
    try {
      return attachment.replica.readForFollower(attachment.nextOffset, this.#options.readBytes);
    } catch (error) {
      this.#onReadFailed(attachment, error);
      return null;
    }
  }

  #take(attachment: Attachment, read: FollowerRead, messages: LeaderMessage[]): void {
    attachment.isQueued = false;
    if (read.byteLength > 0) {
      messages.push(this.#dataOf(attachment, attachment.nextOffset, read.chunks as Buffer[]));
      this.#credit -= read.byteLength;
      attachment.nextOffset = read.nextOffset;
    }
    if (read.byteLength > 0 && attachment.nextOffset < attachment.replica.logEndOffset) {
      attachment.isQueued = true;
      this.#line.push(attachment);
    }
  }

  /** What it may read is taken from the credit at once: all that wait in line could begin before the first one ends. */
  async #takeLater(attachment: Attachment, reading: Promise<FollowerRead>): Promise<void> {
    const { readBytes } = this.#options;
    this.#credit -= readBytes;
    this.#readingBytes += readBytes;
    const read = await reading.catch((error: unknown) => {
      this.#onReadFailed(attachment, error);
      return null;
    });
    this.#credit += readBytes;
    this.#readingBytes -= readBytes;
    if (this.#isClosed) return;
    if (read && this.#attachments.get(attachment.attachId) === attachment) {
      const messages: LeaderMessage[] = [];
      this.#take(attachment, read, messages);
      if (messages.length > 0) this.#stream.send(messages);
    }
    this.#scheduleSend();
  }

  /** The log cannot be read here; the partition goes out of service by itself. This follower hears no more of it. */
  #onReadFailed(attachment: Attachment, error: unknown): void {
    this.#logger.error(
      { err: error, follower: this.#follower, attachId: attachment.attachId },
      'reading for a follower failed',
    );
    this.#detach(attachment.attachId);
    this.send({ kind: 'reject', attachId: attachment.attachId, reason: 'notLeader', leaderEpoch: noLeaderEpoch });
  }

  onDrained(): void {
    this.#scheduleSend();
  }

  onClosed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#offsetsTimer?.cancel();
    this.#attachments.clear();
    this.#asking.clear();
    this.#line.length = 0;
    this.#early = [];
    this.#host.onSessionClosed(this);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#stream.close();
    this.onClosed();
  }
}
