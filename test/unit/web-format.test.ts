import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatClock, formatLeft, formatRatio, formatShare, formatTime } from '../../client/web/format.js';
import { frameAt } from '../../client/web/playback.js';

test('bytes are told in powers of 1000 with three digits', () => {
  const told = [0, 999, 1000, 7640, 282_863, 999_499, 999_600, 1_055_736, 12_345_678, 4e9].map(formatBytes);
  assert.deepEqual(told, ['0 bytes', '999 bytes', '1.00 kB', '7.64 kB', '283 kB', '999 kB', '1.00 MB', '1.06 MB', '12.3 MB', '4.00 GB']);
});

test('times are clocks that carry: 59.96 s is a minute', () => {
  assert.deepEqual([0, 2.44, 59.96, 3599.99].map(formatTime), ['0:00.0', '0:02.4', '1:00.0', '1:00:00.0']);
  assert.deepEqual([5.28, 59.6, 3725].map(formatClock), ['0:05', '1:00', '1:02:05']);
});

test('what is left is rounded as far as it can be believed, and never nothing', () => {
  assert.deepEqual([0, 7.2, 89, 120, 7200].map(formatLeft), ['1 s', '8 s', '89 s', '2 min', '2.0 h']);
  assert.deepEqual([0, 0.5, 0.999, 1].map(formatShare), ['0%', '50%', '99%', '100%']);
  assert.deepEqual([1.04, 3.73, 12.4].map(formatRatio), ['1.0', '3.7', '12']);
});

test('the frame at a time is the last one that has begun, with irregular times too', () => {
  const times_s = Float64Array.of(0, 0.1, 0.5, 0.6);
  assert.deepEqual([-1, 0, 0.05, 0.1, 0.49, 0.55, 9].map((time) => frameAt(times_s, time)), [0, 0, 0, 1, 1, 2, 3]);
});
