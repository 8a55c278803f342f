/** Compressed bytes that are not what they claim, or that unpack to more than is allowed. */
export class DecompressionError extends Error {
  override name = 'DecompressionError';
}
