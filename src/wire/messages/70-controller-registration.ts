/** ControllerRegistration (KIP-919). */
import { api } from '../api.ts';
import { array, bool, int16, int32, string, uint16, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const controllerRegistrationApi = api({
  key: 70,
  name: 'ControllerRegistration',
  versions: '0',
  flexible: '0+',
  request: {
    controllerId: int32('0+'),
    incarnationId: uuid('0+'),
    zkMigrationReady: bool('0+'),
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
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
});

export type ControllerRegistrationRequest = Infer<typeof controllerRegistrationApi.request>;
export type ControllerRegistrationRequestInput = Input<typeof controllerRegistrationApi.request>;
export type ControllerRegistrationResponse = Infer<typeof controllerRegistrationApi.response>;
export type ControllerRegistrationResponseInput = Input<typeof controllerRegistrationApi.response>;
