/** GetTelemetrySubscriptions (KIP-714). */
import { api } from '../api.ts';
import { array, bool, int16, int32, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const getTelemetrySubscriptionsApi = api({
  key: 71,
  name: 'GetTelemetrySubscriptions',
  versions: '0',
  flexible: '0+',
  request: {
    clientInstanceId: uuid('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    clientInstanceId: uuid('0+'),
    subscriptionId: int32('0+'),
    acceptedCompressionTypes: array('0+', 'int8'),
    pushIntervalMs: int32('0+'),
    telemetryMaxBytes: int32('0+'),
    deltaTemporality: bool('0+'),
    requestedMetrics: array('0+', 'string'),
  },
});

export type GetTelemetrySubscriptionsRequest = Infer<typeof getTelemetrySubscriptionsApi.request>;
export type GetTelemetrySubscriptionsRequestInput = Input<typeof getTelemetrySubscriptionsApi.request>;
export type GetTelemetrySubscriptionsResponse = Infer<typeof getTelemetrySubscriptionsApi.response>;
export type GetTelemetrySubscriptionsResponseInput = Input<typeof getTelemetrySubscriptionsApi.response>;
