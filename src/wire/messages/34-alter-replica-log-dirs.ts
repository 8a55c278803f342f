/** AlterReplicaLogDirs: moves replicas between directories of a broker (KIP-113). */
import { api } from '../api.ts';
import { array, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterReplicaLogDirsApi = api({
  key: 34,
  name: 'AlterReplicaLogDirs',
  versions: '1-2',
  flexible: '2+',
  request: {
    dirs: array('0+', {
      path: string('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', 'int32'),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
});

export type AlterReplicaLogDirsRequest = Infer<typeof alterReplicaLogDirsApi.request>;
export type AlterReplicaLogDirsRequestInput = Input<typeof alterReplicaLogDirsApi.request>;
export type AlterReplicaLogDirsResponse = Infer<typeof alterReplicaLogDirsApi.response>;
export type AlterReplicaLogDirsResponseInput = Input<typeof alterReplicaLogDirsApi.response>;
