/**
 * DescribeLogDirs: sizes and lag of replicas by directory (KIP-113).
 * v3 top-level error · v4 total and usable bytes (KIP-827) · v5 cordoned directories (KIP-1066), after Kafka 4.2.
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeLogDirsApi = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: '1-4',
  described: '1-5',
  flexible: '2+',
  request: {
    topics: array(
      '0+',
      {
        topic: string('0+'),
        partitions: array('0+', 'int32'),
      },
      { nullable: '0+' },
    ),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('3+'),
    results: array('0+', {
      errorCode: int16('0+'),
      logDir: string('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          partitionSize: int64('0+'),
          offsetLag: int64('0+'),
          isFutureKey: bool('0+'),
        }),
      }),
      totalBytes: int64('4+', { default: -1n }),
      usableBytes: int64('4+', { default: -1n }),
      isCordoned: bool('5+'),
    }),
  },
});

export type DescribeLogDirsRequest = Infer<typeof describeLogDirsApi.request>;
export type DescribeLogDirsRequestInput = Input<typeof describeLogDirsApi.request>;
export type DescribeLogDirsResponse = Infer<typeof describeLogDirsApi.response>;
export type DescribeLogDirsResponseInput = Input<typeof describeLogDirsApi.response>;
