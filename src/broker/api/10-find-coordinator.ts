/**
 * FindCoordinator 0–6: which broker coordinates a group or a transactional id. KIP-699 (4: several keys at once).
 * Coordinators are not there yet: every key is answered COORDINATOR_NOT_AVAILABLE, which clients retry.
 */
import { findCoordinatorApi } from '../../wire/messages/10-find-coordinator.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const findCoordinator = serve(findCoordinatorApi, (_services, request, { version }) => {
  const errorCode = errorCodeOf({ code: 'COORDINATOR_NOT_AVAILABLE' });
  const errorMessage = 'groups and transactions are not served by this version';
  const nobody = { nodeId: -1, host: '', port: -1, errorCode, errorMessage };
  if (version < 4) return nobody;
  return { coordinators: request.coordinatorKeys.map((key) => ({ key, ...nobody })) };
});
