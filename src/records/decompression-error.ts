/** Compressed bytes that are not what they claim, or that unpack to more than is allowed. */
export class DecompressionError extends Error {
  override name = 'DecompressionError';
}

/** Nothing is known to be wrong with the bytes but that there are too many of them, once unpacked. */
export class UnpackedTooLargeError extends DecompressionError {
  override name = 'UnpackedTooLargeError';
  constructor(maxBytes: number) {
    super(`the records are more than ${maxBytes} bytes when they are unpacked`);
  }
}
