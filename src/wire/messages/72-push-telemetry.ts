/** PushTelemetry (KIP-714). */
import { api } from '../api.ts';
import { bool, bytes, int8, int16, int32, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const pushTelemetryApi = api({
  key: 72,
  name: 'PushTelemetry',
  versions: '0',
  flexible: '0+',
  request: {
    clientInstanceId: uuid('0+'),
    subscriptionId: int32('0+'),
    terminating: bool('0+'),
    compressionType: int8('0+'),
    metrics: bytes('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
  },
});

export type PushTelemetryRequest = Infer<typeof pushTelemetryApi.request>;
export type PushTelemetryRequestInput = Input<typeof pushTelemetryApi.request>;
export type PushTelemetryResponse = Infer<typeof pushTelemetryApi.response>;
export type PushTelemetryResponseInput = Input<typeof pushTelemetryApi.response>;
