/** CreatePartitions 0–3: more partitions for a topic (KIP-195); carried out by the controller. */
import { brokerId } from '../../model/brands.ts';
import type { Fault } from '../../model/fault.ts';
import { createPartitionsApi } from '../../wire/messages/37-create-partitions.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';
import { adminResults } from './admin-results.ts';

export const createPartitions = serve(createPartitionsApi, async (services, request) => {
  const times = new Map<string, number>();
  for (const { name } of request.topics) times.set(name, (times.get(name) ?? 0) + 1);
  const once = request.topics.filter(({ name }) => times.get(name) === 1);
  const topics = once.map(({ name, count, assignments }) => ({
    name,
    total: count,
    assignment: assignments?.map(({ brokerIds }) => brokerIds.map(brokerId)) ?? null,
  }));
  const { validateOnly, timeoutMs } = request;
  const command = { kind: 'createPartitions', topics, validateOnly } as const;
  const results = await adminResults(services, command, topics.length, timeoutMs);
  const twice: Fault = { code: 'INVALID_REQUEST', reason: 'Duplicate topic in request.' };
  return {
    results: [...times.keys()].map((name) => {
      const at = once.findIndex((topic) => topic.name === name);
      const fault = at < 0 ? twice : (results[at]?.fault ?? null);
      return { name, errorCode: fault ? errorCodeOf(fault) : 0, errorMessage: fault && errorMessageOf(fault) };
    }),
  };
});
