/** What classic consumers tell one another through their coordinator, as JSON: a trace of it can be read. */
import type { ConsumerProtocol } from '../../../src/coordinator/group-modules.ts';

function decode<Value>(bytes: Buffer): Value | null {
  try {
    return JSON.parse(bytes.toString()) as Value;
  } catch {
    return null; // Such as no bytes at all: a member without an assignment.
  }
}

const encode = (value: object): Buffer => Buffer.from(JSON.stringify(value));

export const plainConsumerProtocol: ConsumerProtocol = {
  decodeSubscription: decode,
  encodeSubscription: encode,
  decodeAssignment: decode,
  encodeAssignment: encode,
};
