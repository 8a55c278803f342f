/** Classic groups, as `__consumer_offsets` keeps them: one record holds the whole group. */
import { array, bytes, int32, int64, string } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const groupMetadataRecord = coordinatorRecord({
  type: 2,
  name: 'GROUP_METADATA',
  key: {
    group: string('0+'),
  },
  versions: '0-4',
  flexible: '4+',
  value: {
    protocolType: string('0+'),
    generation: int32('0+'),
    protocol: string('0+', { nullable: '0+' }),
    leader: string('0+', { nullable: '0+' }),
    currentStateTimestamp: int64('2+', { default: -1n }),
    members: array('0+', {
      memberId: string('0+'),
      groupInstanceId: string('3+', { nullable: '3+', default: null }),
      clientId: string('0+'),
      clientHost: string('0+'),
      rebalanceTimeout: int32('1+', { default: -1 }),
      sessionTimeout: int32('0+'),
      subscription: bytes('0+'),
      assignment: bytes('0+'),
    }),
  },
});

export type GroupMetadataKey = Infer<typeof groupMetadataRecord.key>;
export type GroupMetadataValue = Infer<typeof groupMetadataRecord.value>;
