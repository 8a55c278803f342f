/** CreatePartitions 0–3: more partitions for a topic (KIP-195); carried out by the controller. */
import { brokerId } from '../../model/brands.ts';
import type { Fault } from '../../model/fault.ts';
import type { Item } from '../../wire/field.ts';
import { type CreatePartitionsRequest, createPartitionsApi } from '../../wire/messages/37-create-partitions.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';
import { adminResults } from './admin-results.ts';

type Topic = Item<CreatePartitionsRequest['topics']>;

/** What no controller need be asked about; null where one has to be. */
function faultOf({ assignments }: Topic): Fault | null {
  if (assignments?.some(({ brokerIds }) => brokerIds.some((id) => id < 0)))
    return { code: 'INVALID_REPLICA_ASSIGNMENT', reason: 'a broker id is negative' };
  return null;
}

export const createPartitions = serve(createPartitionsApi, async (services, request) => {
  const twice: Fault = { code: 'INVALID_REQUEST', reason: 'Duplicate topic in request.' };
  const faults = new Map<string, Fault | null>();
  for (const topic of request.topics) faults.set(topic.name, faults.has(topic.name) ? twice : faultOf(topic));
  const topics = request.topics
    .filter(({ name }) => faults.get(name) === null)
    .map(({ name, count, assignments }) => ({
      name,
      total: count,
      assignment: assignments?.map(({ brokerIds }) => brokerIds.map(brokerId)) ?? null,
    }));
  const { validateOnly, timeoutMs } = request;
  const command = { kind: 'createPartitions', topics, validateOnly } as const;
  const results = await adminResults(services, command, topics.length, timeoutMs);
  for (const [index, { name }] of topics.entries()) faults.set(name, results[index]?.fault ?? null);
  return {
    results: [...faults].map(([name, fault]) => ({
      name,
      errorCode: fault ? errorCodeOf(fault) : 0,
      errorMessage: fault && errorMessageOf(fault),
    })),
  };
});
