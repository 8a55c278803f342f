/**
 * InitProducerId 0–5 for idempotent producers: a new producer id, epoch 0, whatever id was sent (KIP-360).
 * Not served: transactional ids, which need their coordinator.
 */
import { initProducerIdApi } from '../../wire/messages/22-init-producer-id.ts';
import { errorCodeOf, errorCodeOfException } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const initProducerId = serve(initProducerIdApi, async (services, request) => {
  const refused = (errorCode: number) => ({ errorCode, producerId: -1n, producerEpoch: -1 });
  if (request.transactionalId === '') return refused(errorCodeOf({ code: 'INVALID_REQUEST', reason: '' }));
  if (request.transactionalId !== null) return refused(errorCodeOf({ code: 'COORDINATOR_NOT_AVAILABLE' }));
  try {
    return { errorCode: 0, producerId: await services.nextProducerId(), producerEpoch: 0 };
  } catch (error) {
    return refused(errorCodeOfException(error, services.logger));
  }
});
