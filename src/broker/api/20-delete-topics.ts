/** DeleteTopics 1–6: by name, from 6 on by id too (KIP-516); carried out by the controller. */
import type { TopicImage } from '../../model/cluster-image.ts';
import type { Fault } from '../../model/fault.ts';
import { deleteTopicsApi } from '../../wire/messages/20-delete-topics.ts';
import { isFault, topicOf, zeroUuid } from '../cluster-view.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';
import { adminResults } from './admin-results.ts';

export const deleteTopics = serve(deleteTopicsApi, async (services, request, { version }) => {
  const asked: readonly { name: string | null; topicId: string }[] =
    version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: zeroUuid }));
  const image = services.image();
  const disabled: Fault = { code: 'TOPIC_DELETION_DISABLED' };
  const known = asked.map((one): TopicImage | Fault => {
    if (one.name !== null && one.topicId !== zeroUuid)
      return { code: 'INVALID_REQUEST', reason: 'Topic name and topic ID can not both be specified.' };
    if (!services.config.values['delete.topic.enable']) return disabled;
    return topicOf(image, { name: one.name ?? '', topicId: one.topicId }, one.name === null);
  });
  const topicIds = [...new Set(known.flatMap((topic) => (isFault(topic) ? [] : [topic.id])))];
  const results = await adminResults(services, { kind: 'deleteTopics', topicIds }, topicIds.length, request.timeoutMs);
  return {
    responses: asked.map(({ name, topicId }, index) => {
      const topic = known[index] ?? disabled;
      if (isFault(topic)) return { name, topicId, errorCode: errorCodeOf(topic), errorMessage: errorMessageOf(topic) };
      const fault = results[topicIds.indexOf(topic.id)]?.fault ?? null;
      return {
        name: topic.record.name,
        topicId: topic.id,
        errorCode: fault ? errorCodeOf(fault) : 0,
        errorMessage: fault && errorMessageOf(fault),
      };
    }),
  };
});
