/**
 * What travels on a client connection? Frames, each an int32 size and then
 *
 *     request    apiKey int16 · apiVersion int16 · correlationId int32 · clientId string   (· tags in v2) · body
 *     response   correlationId int32                                                       (· tags in v1) · body
 *
 * Frames come in without their size (`FrameReader` takes it off) and go out with it.
 */
import { present } from '../model/assert.ts';
import { type Api, requestHeaderVersion, responseHeaderVersion } from './api.ts';
import { apis } from './apis.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter, type EncodedMessage } from './byte-writer.ts';
import { primitiveCodec } from './codec.ts';
import type { Decoded, Fields, Given } from './field.ts';
import type { DecodeOptions } from './message.ts';
import { inField } from './wire-error.ts';

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** Null when the client gave none, and when the API or version is not described. */
  readonly clientId: string | null;
  /** Where the body begins in the frame; null when the API or version is not described, so that nobody can read it. */
  readonly bodyPosition: number | null;
}

/** Never compact, not even in header v2. */
const clientIdCodec = primitiveCodec('string', false, true);

function skipTags(reader: ByteReader): void {
  for (let left = reader.uvarint(); left > 0; left--) {
    reader.uvarint();
    reader.skip(reader.uvarint());
  }
}

/**
 * Reads a request's header. Of a request that is not described only the first three fields are read: they are the
 * same in all versions, and ApiVersions must be answered whatever version it comes in.
 * @throws WireError when the frame is too short or its header malformed.
 */
export function decodeRequestHeader(frame: Buffer): RequestHeader {
  try {
    const reader = new ByteReader(frame);
    const apiKey = reader.int16();
    const apiVersion = reader.int16();
    const correlationId = reader.int32();
    const api = apis.get(apiKey);
    if (api === undefined || !api.request.hasVersion(apiVersion))
      return { apiKey, apiVersion, correlationId, clientId: null, bodyPosition: null };
    const clientId = clientIdCodec.read(reader) as string | null;
    if (requestHeaderVersion(api, apiVersion) === 2) skipTags(reader);
    return { apiKey, apiVersion, correlationId, clientId, bodyPosition: reader.position };
  } catch (error) {
    throw inField('RequestHeader', error);
  }
}

/**
 * Reads the body of a request. Bytes after it are passed over unless `allowTrailingBytes` is false: Kafka's
 * RequestContext.parseRequest does not look at them, so a client may have sent some for years without knowing.
 * @throws WireError when malformed.
 */
export function decodeRequest<Request extends Fields>(
  api: Api<Request>,
  version: number,
  frame: Buffer,
  bodyPosition: number,
  options: DecodeOptions = {},
): Decoded<Request> {
  return api.request.decode(version, frame, bodyPosition, { allowTrailingBytes: true, ...options });
}

/**
 * A whole response, size and header included.
 * @throws EncodeError when a value of `body` does not fit its field.
 */
export function encodeResponse<Response extends Fields>(
  api: Api<Fields, Response>,
  version: number,
  correlationId: number,
  body: Given<Response>,
): EncodedMessage {
  const writer = new ByteWriter();
  writer.int32(0);
  writer.int32(correlationId);
  if (responseHeaderVersion(api, version) === 1) writer.uvarint(0);
  api.response.write(writer, version, body);
  return withSize(writer);
}

/** A whole request, size and header included: for tests, benchmarks and probes. */
export function encodeRequest<Request extends Fields>(
  api: Api<Request>,
  version: number,
  header: { correlationId: number; clientId: string | null },
  body: Given<Request>,
): EncodedMessage {
  const writer = new ByteWriter();
  writer.int32(0);
  writer.int16(api.key);
  writer.int16(version);
  writer.int32(header.correlationId);
  clientIdCodec.write(writer, header.clientId);
  if (requestHeaderVersion(api, version) === 2) writer.uvarint(0);
  api.request.write(writer, version, body);
  return withSize(writer);
}

/** Reads a response frame (without its size). @throws WireError when malformed. */
export function decodeResponse<Response extends Fields>(
  api: Api<Fields, Response>,
  version: number,
  frame: Buffer,
  options: DecodeOptions = {},
): { correlationId: number; body: Decoded<Response> } {
  const reader = new ByteReader(frame);
  const correlationId = reader.int32();
  if (responseHeaderVersion(api, version) === 1) skipTags(reader);
  return { correlationId, body: api.response.decode(version, frame, reader.position, options) };
}

const sizeBytes = 4;

/** Fills in the size that the first four bytes were kept for. */
function withSize(writer: ByteWriter): EncodedMessage {
  const encoded = writer.finish();
  present(encoded.chunks[0], 'the size itself was written').writeInt32BE(encoded.length - sizeBytes, 0);
  return encoded;
}
