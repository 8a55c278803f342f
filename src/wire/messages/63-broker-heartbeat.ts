/**
 * BrokerHeartbeat: a KRaft broker is alive (KIP-631).
 * v1 offline directories (KIP-858) · v2 cordoned directories (KIP-1066), after Kafka 4.2.
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64 } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const brokerHeartbeatApi = api({
  key: 63,
  name: 'BrokerHeartbeat',
  versions: '0-1',
  described: '0-2',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    brokerEpoch: int64('0+', { default: -1n }),
    currentMetadataOffset: int64('0+'),
    wantFence: bool('0+'),
    wantShutDown: bool('0+'),
    offlineLogDirs: array('1+', 'uuid', { tag: 0 }),
    cordonedLogDirs: array('2+', 'uuid', { nullable: '2+', tag: 1, default: null }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    isCaughtUp: bool('0+'),
    isFenced: bool('0+', { default: true }),
    shouldShutDown: bool('0+'),
  },
});

export type BrokerHeartbeatRequest = Infer<typeof brokerHeartbeatApi.request>;
export type BrokerHeartbeatRequestInput = Input<typeof brokerHeartbeatApi.request>;
export type BrokerHeartbeatResponse = Infer<typeof brokerHeartbeatApi.response>;
export type BrokerHeartbeatResponseInput = Input<typeof brokerHeartbeatApi.response>;
