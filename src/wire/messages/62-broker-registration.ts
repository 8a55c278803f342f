/** BrokerRegistration: a KRaft broker enters the cluster (KIP-631). */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string, uint16, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const brokerRegistrationApi = api({
  key: 62,
  name: 'BrokerRegistration',
  versions: '0-4',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    clusterId: string('0+'),
    incarnationId: uuid('0+'),
    listeners: array('0+', {
      name: string('0+'),
      host: string('0+'),
      port: uint16('0+'),
      securityProtocol: int16('0+'),
    }),
    features: array('0+', {
      name: string('0+'),
      minSupportedVersion: int16('0+'),
      maxSupportedVersion: int16('0+'),
    }),
    rack: string('0+', { nullable: '0+' }),
    isMigratingZkBroker: bool('1+'),
    logDirs: array('2+', 'uuid'),
    previousBrokerEpoch: int64('3+', { default: -1n }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    brokerEpoch: int64('0+', { default: -1n }),
  },
});

export type BrokerRegistrationRequest = Infer<typeof brokerRegistrationApi.request>;
export type BrokerRegistrationRequestInput = Input<typeof brokerRegistrationApi.request>;
export type BrokerRegistrationResponse = Infer<typeof brokerRegistrationApi.response>;
export type BrokerRegistrationResponseInput = Input<typeof brokerRegistrationApi.response>;
