/** What `cordwood produce` and `consume` say when things go wrong: counts, reasons, exit codes, and JSON for scripts. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { cordwood, type DevProcess, startDev, temporaryDirectory } from '../support/cordwood-process.ts';
import { readBack } from '../support/read-back.ts';

const data = temporaryDirectory();
let dev: DevProcess;
let to: string[];
beforeAll(async () => {
  dev = await startDev(data.path, ['-s', 'auto.create.topics.enable=false']);
  to = ['--bootstrap', dev.bootstrap.join(',')];
});
afterAll(async () => {
  if (dev !== undefined && dev.process.exitCode === null) await dev.interrupt();
  data.remove();
});

async function create(topic: string, ...more: string[]): Promise<void> {
  const { code, stderr } = await cordwood(['topic', 'create', topic, '-p', '1', ...more, ...to]);
  assert.equal(code, 0, stderr);
}

const produce = (topic: string, input: string, ...more: string[]) =>
  cordwood(['produce', topic, ...to, '--json', ...more], input);

async function control(action: 'stop' | 'kill' | 'start', id: number): Promise<void> {
  const { code, stderr } = await cordwood(['broker', action, String(id), '--control', dev.control]);
  assert.equal(code, 0, stderr);
}

describe('what is produced', () => {
  test('with acks 0, 1 and all, headers, a partition and empty lines is what is read as JSON', async () => {
    await create('varied', '-p', '2');
    const input = 'a:1\n\nb:\n';
    for (const acks of ['1', 'all', '0']) {
      const options = ['-a', acks, '-k', ':', '-H', 'from=test', '-p', '1'];
      const { code, stdout, stderr } = await produce('varied', input, ...options);
      assert.equal(code, 0, stderr);
      assert.equal((JSON.parse(stdout) as { read: number }).read, 3);
    }
    const read = await cordwood(['consume', 'varied', ...to, '-n', '9', '-p', '1', '--json']);
    const records = read.stdout
      .trimEnd()
      .split('\n')
      .map(
        (line) => JSON.parse(line) as { key: string | null; value: string | null; partition: number; offset: number },
      );
    assert.deepEqual(
      records.map(({ key, value, partition, offset }) => [key, value, partition, Number(offset)]),
      Array.from({ length: 9 }, (_, index) => [
        ...(index % 3 === 0 ? ['a', '1'] : index % 3 === 1 ? [null, ''] : ['b', '']),
        1,
        index,
      ]),
    );
    const [, inPartition = []] = await readBack(dev.bootstrap.join(','), 'varied');
    for (const { headers } of inPartition)
      assert.deepEqual(
        headers.map(({ key, value }) => `${key}=${value}`),
        ['from=test'],
      );
  });
});

describe('what fails', () => {
  test('a topic that is not there is named, and nothing is read', async () => {
    const { code, stderr } = await produce('nowhere', 'lost\n');
    assert.equal(code, 1);
    assert.match(stderr, /there is no topic nowhere/);
    assert.equal((await cordwood(['consume', 'nowhere', ...to, '-e'])).code, 1);
  });

  test('a partition that is not there is wrong usage', async () => {
    await create('narrow');
    assert.equal((await produce('narrow', 'x\n', '-p', '7')).code, 2);
    assert.equal((await cordwood(['consume', 'narrow', ...to, '-p', '7', '-e'])).code, 2);
  });

  test('a line that the topic does not take ends with how many were and were not acknowledged', async () => {
    await create('small', '-c', 'max.message.bytes=400');
    const lines = ['one', 'two', 'x'.repeat(1000), 'four'];
    const { code, stdout, stderr } = await produce('small', `${lines.join('\n')}\n`, '--batch-bytes', '1');
    const counts = JSON.parse(stdout) as { read: number; acknowledged: number };
    assert.equal(code, counts.acknowledged > 0 ? 4 : 1);
    assert.match(stderr, /MESSAGE_TOO_LARGE|RECORD_TOO_LARGE|too large/i);
    const [records = []] = await readBack(dev.bootstrap.join(','), 'small');
    assert.equal(records.length, counts.acknowledged);
    assert.deepEqual(
      records.map(({ value }) => String(value)),
      lines.slice(0, counts.acknowledged),
    );
  });

  test('too few replicas end with the reason, and nothing counts as acknowledged', async () => {
    await create('strict', '-r', '3', '-c', 'min.insync.replicas=3');
    await control('kill', 3);
    try {
      const { code, stdout, stderr } = await produce('strict', 'refused\n', '--delivery-timeout-ms', '1500');
      assert.equal(code, 1);
      assert.match(stderr, /NOT_ENOUGH_REPLICAS/);
      assert.equal((JSON.parse(stdout) as { acknowledged: number }).acknowledged, 0);
    } finally {
      await control('start', 3);
    }
  });

  test('a broker that is away shows in the status until it is back', async () => {
    const status = async (): Promise<{ brokers: { id: number }[] }> => {
      const { code, stdout, stderr } = await cordwood(['cluster', 'status', ...to, '--json']);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as { brokers: { id: number }[] };
    };
    await control('stop', 1);
    assert.deepEqual(
      (await status()).brokers.map(({ id }) => id),
      [2, 3],
    );
    await control('start', 1);
    assert.deepEqual(
      (await status()).brokers.map(({ id }) => id),
      [1, 2, 3],
    );
  });
});
