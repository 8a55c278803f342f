import assert from 'node:assert/strict';
import { test } from 'vitest';
import { parseCpuSeconds, parsePeakResidentBytes, usageOf } from '../../bench/process-usage.ts';

test('CPU time is user and system time, in ticks of 10 ms', () => {
  const stat = '4711 (node) S 1 4711 4711 0 -1 4194304 1 2 3 4 250 50 7 8 20 0 11 0 100 1000 200';
  assert.equal(parseCpuSeconds(stat), 3);
});

test('a command with spaces and parentheses does not shift the fields', () => {
  const stat = '4711 (a (b) c) d) S 1 4711 4711 0 -1 4194304 1 2 3 4 250 50 7 8 20 0 11 0 100 1000 200';
  assert.equal(parseCpuSeconds(stat), 3);
});

test('peak memory comes from VmHWM in kB', () => {
  assert.equal(parsePeakResidentBytes('Name:\tnode\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n'), 2 * 2 ** 20);
});

test('this process has used CPU and memory', () => {
  const usage = usageOf(process.pid);
  assert.ok(usage.cpuSeconds > 0);
  assert.ok(usage.residentBytes > 2 ** 20 && usage.residentBytes <= usage.peakResidentBytes * 1.5);
});

test('a process that is gone is an error that names it', () => {
  assert.throws(() => usageOf(2 ** 30), /process 1073741824/);
});
