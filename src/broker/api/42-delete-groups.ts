/** DeleteGroups 0–2: groups without members, with their offsets (KIP-229). */
import { isRefused } from '../../coordinator/group-requests.ts';
import { deleteGroupsApi } from '../../wire/messages/42-delete-groups.ts';
import { askGroups } from '../ask-groups.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const deleteGroups = serve(deleteGroupsApi, async (services, request, { onDisconnect }) => ({
  results: await askGroups(services.timers, [...new Set(request.groupsNames)], async (groupId) => {
    const answer = await services.groups.ask({ kind: 'deleteGroup', groupId }, onDisconnect);
    return { groupId, errorCode: isRefused(answer) ? errorCodeOf(answer.fault) : 0 };
  }),
}));
