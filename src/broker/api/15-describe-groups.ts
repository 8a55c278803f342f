/**
 * DescribeGroups 0–6: state and members of classic groups. KIP-430 (3: authorized operations), KIP-345 (4: static members),
 * KIP-1043 (6: GROUP_ID_NOT_FOUND instead of a dead group without an error).
 */
import { isRefused } from '../../coordinator/group-requests.ts';
import type { Fault } from '../../model/fault.ts';
import { describeGroupsApi } from '../../wire/messages/15-describe-groups.ts';
import { askGroups } from '../ask-groups.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';

/** Read, delete, describe, and the two of configurations: everybody has them while there is no authorizer. */
export const allGroupOperations = [3, 6, 8, 10, 11].reduce((bits, code) => bits | (1 << code), 0);

function refused(groupId: string, fault: Fault, version: number) {
  const isUnknown = fault.code === 'GROUP_ID_NOT_FOUND';
  return {
    errorCode: isUnknown && version < 6 ? 0 : errorCodeOf(fault),
    errorMessage: errorMessageOf(fault),
    groupId,
    groupState: isUnknown ? 'Dead' : '',
    members: [],
  };
}

async function describe(services: BrokerServices, groupId: string, { version, onDisconnect }: RequestContext) {
  const answer = await services.groups.ask({ kind: 'describeGroup', groupId }, onDisconnect);
  if (isRefused(answer)) return refused(groupId, answer.fault, version);
  return {
    errorCode: 0,
    groupId,
    groupState: answer.state,
    protocolType: answer.protocolType,
    protocolData: answer.protocol,
    members: answer.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: member.metadata,
      memberAssignment: member.assignment,
    })),
  };
}

/** A group that is asked for twice is told once: a small request must not become an answer of many times a large group. */
export const describeGroups = serve(describeGroupsApi, async (services, request, context) => {
  const ask = async (groupId: string) => {
    const group = await describe(services, groupId, context);
    const isAsked = request.includeAuthorizedOperations && group.errorCode === 0;
    return isAsked ? { ...group, authorizedOperations: allGroupOperations } : group;
  };
  const groups = await askGroups(services.timers, [...new Set(request.groups)], ask, {
    rowsOf: ({ members }) => members.length,
    comeAgain: (groupId) => refused(groupId, { code: 'COORDINATOR_LOAD_IN_PROGRESS' }, context.version),
  });
  return { groups };
});
