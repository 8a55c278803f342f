/**
 * How do replication messages look on the wire? As `proto/cordwood/replication.proto` says, written by hand: batches are
 * never copied here, neither into a frame (they stay parts of it) nor out of one (they are views of it).
 *
 *     LeaderFrame     0a len LeaderMessage, 0a len LeaderMessage, …      up to frameBytes together
 *     LeaderMessage   2a len Data                                        or another case of the oneof
 *     Data            08 attachId 10 base 18 hw 20 logStart 2a len <batches> 2a len <batches> …
 *
 * A message longer than wholeMessageBytes is sent as its bytes, cut into Fragments of one frame each, and put together
 * again before anybody sees it:
 *
 *     LeaderFrame     12 len Fragment
 *     Fragment        08 messageBytes 10 position 1a len <bytes>
 */
import { brokerEpoch, brokerId, leaderEpoch, type Offset, offset, topicId } from '../model/brands.ts';
import type { FollowerMessage, LeaderMessage, RejectReason } from '../replication/replication-messages.ts';
import type { Frame } from './frame-channel.ts';
import { bytesWire, ProtobufError, ProtobufReader, varintLength, writeVarint } from './protobuf.ts';
import {
  boolean,
  branded,
  enumeration,
  field,
  type MessageType,
  mapped,
  message,
  oneOf,
  signed,
  text,
  unsigned,
} from './protobuf-message.ts';

/** Messages are gathered in one frame up to about this size. */
export const frameBytes = 1024 * 1024;
/** A longer message is cut; twice a frame, so that a full read and its header are not. */
export const wholeMessageBytes = 2 * frameBytes;
/** What a receiver of leader frames must let through. */
export const frameLimitBytes = wholeMessageBytes + 64 * 1024;

const brokerIdType = branded(signed, brokerId);
const brokerEpochType = branded(signed, brokerEpoch);
const leaderEpochType = branded(signed, leaderEpoch);
const offsetType = branded(unsigned, offset);
const topicIdType = mapped(text, topicId, (id) => id);
const rejectReason = enumeration<RejectReason>([
  'fencedLeaderEpoch',
  'unknownLeaderEpoch',
  'notLeader',
  'unknownPartition',
  'offsetAhead',
]);

/** One message of a newer broker decodes as null and is passed over. */
const followerMessage: MessageType<FollowerMessage | null> = oneOf<FollowerMessage>({
  hello: field(
    1,
    message({ clusterId: field(1, text), brokerId: field(2, brokerIdType), brokerEpoch: field(3, brokerEpochType) }),
  ),
  attach: field(
    2,
    message({
      attachId: field(1, unsigned),
      topicId: field(2, topicIdType),
      partition: field(3, unsigned),
      leaderEpoch: field(4, leaderEpochType),
      logEndOffset: field(5, offsetType),
      lastEpoch: field(6, leaderEpochType),
    }),
  ),
  detach: field(3, message({ attachId: field(1, unsigned) })),
  ack: field(4, message({ attachId: field(1, unsigned), logEndOffset: field(2, offsetType) })),
  credit: field(5, message({ bytes: field(1, unsigned) })),
  ping: field(6, message({})),
  pong: field(7, message({})),
});

type DataMessage = Extract<LeaderMessage, { kind: 'data' }>;
type PlainLeaderMessage = Exclude<LeaderMessage, DataMessage>;

const plainLeaderMessage: MessageType<PlainLeaderMessage | null> = oneOf<PlainLeaderMessage>({
  helloAnswer: field(1, message({ isAccepted: field(1, boolean), reason: field(2, text) })),
  reject: field(
    2,
    message({ attachId: field(1, unsigned), reason: field(2, rejectReason), leaderEpoch: field(3, leaderEpochType) }),
  ),
  diverging: field(
    3,
    message({ attachId: field(1, unsigned), epoch: field(2, leaderEpochType), endOffset: field(3, offsetType) }),
  ),
  attached: field(
    4,
    message({
      attachId: field(1, unsigned),
      leaderEpochStartOffset: field(2, offsetType),
      highWatermark: field(3, offsetType),
      logStartOffset: field(4, offsetType),
    }),
  ),
  pong: field(6, message({})),
  ping: field(7, message({})),
});

const bytesTag = (fieldNumber: number): number => fieldNumber * 8 + bytesWire;
const messagesTag = bytesTag(1);
const fragmentTag = bytesTag(2);
const dataTag = bytesTag(5);
const batchesTag = bytesTag(5);

/** Parts that are sent one behind the other; see `Frame`. */
export class PartsFrame implements Frame {
  readonly length: number;
  readonly #parts: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[], length: number) {
    this.#parts = parts;
    this.length = length;
  }

  get byteLength(): number {
    return this.length;
  }

  copy(target: Buffer, targetStart: number): number {
    let position = targetStart;
    for (const part of this.#parts) {
      target.set(part, position);
      position += part.length;
    }
    return this.length;
  }
}

/** A message ready for a frame: its tag, its length and its bytes in parts. */
export interface EncodedMessage {
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
  /** Of tag and length in front, which a cut message does without. */
  readonly prefixBytes: number;
}

function encodedPlain(bytes: Buffer): EncodedMessage {
  const prefixBytes = 1 + varintLength(bytes.length);
  const whole = Buffer.allocUnsafe(prefixBytes + bytes.length);
  whole[0] = messagesTag;
  bytes.copy(whole, writeVarint(whole, bytes.length, 1));
  return { parts: [whole], byteLength: whole.length, prefixBytes };
}

export const encodeFollowerMessage = (sent: FollowerMessage): EncodedMessage =>
  encodedPlain(followerMessage.encode(sent));

export const encodeLeaderMessage = (sent: LeaderMessage): EncodedMessage =>
  sent.kind === 'data' ? encodeData(sent) : encodedPlain(plainLeaderMessage.encode(sent));

/** Tag and number of each scalar of Data. */
const dataFieldBytes = (sent: DataMessage): number =>
  4 +
  varintLength(sent.attachId) +
  varintLength(sent.baseOffset) +
  varintLength(sent.highWatermark) +
  varintLength(sent.logStartOffset);

function encodeData(sent: DataMessage): EncodedMessage {
  const fieldBytes = dataFieldBytes(sent);
  let batchHeaderBytes = 0;
  let batchBytes = 0;
  for (const batches of sent.batches) {
    batchHeaderBytes += 1 + varintLength(batches.length);
    batchBytes += batches.length;
  }
  const dataBytes = fieldBytes + batchHeaderBytes + batchBytes;
  const messageBytes = 1 + varintLength(dataBytes) + dataBytes;
  const prefixBytes = 1 + varintLength(messageBytes);
  const byteLength = prefixBytes + messageBytes;
  const header = Buffer.allocUnsafe(byteLength - batchBytes);
  header[0] = messagesTag;
  let position = writeVarint(header, messageBytes, 1);
  header[position++] = dataTag;
  position = writeVarint(header, dataBytes, position);
  header[position++] = 8 * 1;
  position = writeVarint(header, sent.attachId, position);
  header[position++] = 8 * 2;
  position = writeVarint(header, sent.baseOffset, position);
  header[position++] = 8 * 3;
  position = writeVarint(header, sent.highWatermark, position);
  header[position++] = 8 * 4;
  position = writeVarint(header, sent.logStartOffset, position);
  const parts: Uint8Array[] = [];
  let start = 0;
  for (const batches of sent.batches) {
    header[position++] = batchesTag;
    position = writeVarint(header, batches.length, position);
    parts.push(header.subarray(start, position), batches);
    start = position;
  }
  if (start < header.length) parts.push(header.subarray(start));
  return { parts, byteLength, prefixBytes };
}

/**
 * The next frame of what waits: whole messages from the front of `waiting` up to `frameBytes`, which are removed, or one
 * message too long for that. Null if nothing waits.
 */
export function takeFrame(waiting: EncodedMessage[]): Frame | null {
  const first = waiting[0];
  if (first === undefined) return null;
  let length = first.byteLength;
  let count = 1;
  for (; count < waiting.length; count++) {
    const next = waiting[count]?.byteLength ?? 0;
    if (length + next > frameBytes) break;
    length += next;
  }
  const taken = waiting.splice(0, count);
  return new PartsFrame(count === 1 ? first.parts : taken.flatMap((encoded) => encoded.parts), length);
}

/** The frames of a message longer than `wholeMessageBytes`, each with a fragment of `frameBytes`. */
export function* fragmentsOf(encoded: EncodedMessage): Generator<Frame> {
  const messageBytes = encoded.byteLength - encoded.prefixBytes;
  let partIndex = 0;
  let partPosition = encoded.prefixBytes;
  for (let position = 0; position < messageBytes; ) {
    const length = Math.min(frameBytes, messageBytes - position);
    const parts: Uint8Array[] = [];
    for (let left = length; left > 0; ) {
      const part = encoded.parts[partIndex] ?? new Uint8Array();
      const piece = part.subarray(partPosition, partPosition + left);
      if (piece.length > 0) parts.push(piece);
      left -= piece.length;
      partPosition += piece.length;
      if (partPosition >= part.length) {
        partIndex++;
        partPosition = 0;
      }
    }
    const header = fragmentHeader(messageBytes, position, length);
    yield new PartsFrame([header, ...parts], header.length + length);
    position += length;
  }
}

function fragmentHeader(messageBytes: number, position: number, length: number): Buffer {
  const fieldBytes = 3 + varintLength(messageBytes) + varintLength(position) + varintLength(length);
  const fragmentBytes = fieldBytes + length;
  const header = Buffer.allocUnsafe(1 + varintLength(fragmentBytes) + fieldBytes);
  header[0] = fragmentTag;
  let at = writeVarint(header, fragmentBytes, 1);
  header[at++] = 8 * 1;
  at = writeVarint(header, messageBytes, at);
  header[at++] = 8 * 2;
  at = writeVarint(header, position, at);
  header[at++] = bytesTag(3);
  writeVarint(header, length, at);
  return header;
}

/** Reads the frames of one stream, in order. Throws ProtobufError for what no broker sends; the stream is then of no use. */
export class LeaderFrameDecoder {
  readonly #messageLimitBytes: number;
  #message: Buffer | null = null;
  #received = 0;

  /** `messageLimitBytes`: the longest message that is put together from fragments. */
  constructor(messageLimitBytes: number) {
    this.#messageLimitBytes = messageLimitBytes;
  }

  /** `batches` of the messages are views of `frame`. */
  decode(frame: Buffer): LeaderMessage[] {
    const messages: LeaderMessage[] = [];
    const reader = new ProtobufReader(frame);
    while (!reader.isAtEnd) {
      const tag = reader.varint();
      if (tag === messagesTag) push(messages, readLeaderMessage(reader.delimited()));
      else if (tag === fragmentTag) push(messages, this.#onFragment(reader.nested()));
      else reader.skip(tag % 8);
    }
    return messages;
  }

  #onFragment(reader: ProtobufReader): LeaderMessage | null {
    let messageBytes = 0;
    let position = 0;
    let bytes: Buffer = Buffer.alloc(0);
    while (!reader.isAtEnd) {
      const tag = reader.varint();
      if (tag === 8 * 1) messageBytes = reader.varint();
      else if (tag === 8 * 2) position = reader.varint();
      else if (tag === bytesTag(3)) bytes = reader.delimited();
      else reader.skip(tag % 8);
    }
    if (messageBytes > this.#messageLimitBytes) throw new ProtobufError(`a message of ${messageBytes} bytes`);
    if (position === 0 && this.#message === null) {
      // Not filled: what never arrives takes no memory.
      this.#message = Buffer.allocUnsafeSlow(messageBytes);
      this.#received = 0;
    }
    const whole = this.#message;
    if (
      whole === null ||
      whole.length !== messageBytes ||
      position !== this.#received ||
      bytes.length === 0 ||
      bytes.length > whole.length - position
    ) {
      throw new ProtobufError('a fragment that does not follow the one before');
    }
    bytes.copy(whole, position);
    this.#received += bytes.length;
    if (this.#received < whole.length) return null;
    this.#message = null;
    return readLeaderMessage(whole);
  }
}

function push<Item>(items: Item[], item: Item | null): void {
  if (item !== null) items.push(item);
}

function readLeaderMessage(bytes: Buffer): LeaderMessage | null {
  if (bytes[0] !== dataTag) return plainLeaderMessage.decode(bytes);
  const reader = new ProtobufReader(bytes);
  reader.varint();
  const data = readData(reader.nested());
  if (!reader.isAtEnd) throw new ProtobufError('more than one case of a message');
  return data;
}

function readData(reader: ProtobufReader): DataMessage {
  let attachId = 0;
  let baseOffset = 0;
  let highWatermark = 0;
  let logStartOffset = 0;
  const batches: Buffer[] = [];
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    if (tag === 8 * 1) attachId = reader.varint();
    else if (tag === 8 * 2) baseOffset = reader.varint();
    else if (tag === 8 * 3) highWatermark = reader.varint();
    else if (tag === 8 * 4) logStartOffset = reader.varint();
    else if (tag === batchesTag) batches.push(reader.delimited());
    else reader.skip(tag % 8);
  }
  // A varint is a safe integer, 0 and up, which is all that an offset's constructor asks.
  return {
    kind: 'data',
    attachId,
    baseOffset: baseOffset as Offset,
    highWatermark: highWatermark as Offset,
    logStartOffset: logStartOffset as Offset,
    batches,
  };
}

/** The messages of a follower's frame, or ProtobufError. */
export function decodeFollowerFrame(frame: Buffer): FollowerMessage[] {
  const messages: FollowerMessage[] = [];
  const reader = new ProtobufReader(frame);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    if (tag === messagesTag) push(messages, followerMessage.decode(reader.delimited()));
    else reader.skip(tag % 8);
  }
  return messages;
}
