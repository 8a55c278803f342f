/** What classic consumers tell each other through their coordinator, between bytes and values. */
import type { ConsumerAssignment, ConsumerProtocol, ConsumerSubscription } from '../../coordinator/group-modules.ts';
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  decodeConsumerProtocol,
  encodeConsumerProtocol,
} from '../../wire/records/consumer-protocol.ts';
import { WireError } from '../../wire/wire-error.ts';

/** The bytes are a client's: whatever is wrong with them is no failure of ours. */
function orNull<Value>(decode: () => Value): Value | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

export const consumerProtocolBytes: ConsumerProtocol = {
  decodeSubscription: (metadata) =>
    orNull((): ConsumerSubscription => {
      const { version, value } = decodeConsumerProtocol(consumerProtocolSubscription, metadata);
      return {
        version: Math.min(version, consumerProtocolSubscription.versions.highest),
        topics: value.topics,
        userData: value.userData,
        ownedPartitions: value.ownedPartitions,
        generation: value.generationId,
        rackId: value.rackId,
      };
    }),
  encodeSubscription: ({ version, topics, userData, ownedPartitions, generation, rackId }) =>
    encodeConsumerProtocol(consumerProtocolSubscription, version, {
      topics,
      userData,
      ownedPartitions,
      generationId: generation,
      rackId,
    }),
  decodeAssignment: (assignment) =>
    orNull((): ConsumerAssignment => {
      const { version, value } = decodeConsumerProtocol(consumerProtocolAssignment, assignment);
      return {
        version: Math.min(version, consumerProtocolAssignment.versions.highest),
        assignedPartitions: value.assignedPartitions,
        userData: value.userData,
      };
    }),
  encodeAssignment: ({ version, assignedPartitions, userData }) =>
    encodeConsumerProtocol(consumerProtocolAssignment, version, { assignedPartitions, userData }),
};
