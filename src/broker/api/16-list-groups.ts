/** ListGroups 0–5: the groups this broker coordinates. KIP-518 (4: states), KIP-848 (5: types). */
import { listGroupsApi } from '../../wire/messages/16-list-groups.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const listGroups = serve(listGroupsApi, async (services, request, { onDisconnect }) => {
  const { groups, fault } = await services.groups.list(
    { kind: 'listGroups', states: request.statesFilter, types: request.typesFilter },
    onDisconnect,
  );
  return {
    errorCode: fault === null ? 0 : errorCodeOf(fault),
    groups: groups.map(({ groupId, protocolType, state, type }) => ({
      groupId,
      protocolType,
      groupState: state,
      groupType: type,
    })),
  };
});
