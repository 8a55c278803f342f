/** ListGroups 0–5: the groups this broker coordinates. KIP-518 (4: states), KIP-848 (5: types). */
import { listGroupsApi } from '../../wire/messages/16-list-groups.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

/** Made once: a filter may be as long as a request, and is looked into for every group of every partition. */
const withoutCase = (names: readonly string[]): ReadonlySet<string> => new Set(names.map((name) => name.toLowerCase()));

export const listGroups = serve(listGroupsApi, async (services, request, { onDisconnect }) => {
  const { groups, fault } = await services.groups.list(
    { kind: 'listGroups', states: withoutCase(request.statesFilter), types: withoutCase(request.typesFilter) },
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
