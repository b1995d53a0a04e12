import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFileSink } from '../../../src/decision-log/file-sink.ts';
import { createManualClock } from '../../support/manual-clock.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-rotation-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const MIB = 1_048_576;
const chunk = (letter: string): string => `${letter.repeat(MIB / 2 - 1)}\n`;

describe('rotation of a file', () => {
  test('by size: no line is lost or parted, and only so many files are kept', async () => {
    const path = join(folder, 'events.jsonl');
    writeFileSync(`${path}.old`, 'of somebody else');
    const clock = createManualClock();
    const sink = createFileSink({ path, rotate: { max_mb: 1, keep: 2 } }, { clock });
    await sink.open();
    for (const letter of 'abcdefgh') {
      clock.advance(1);
      await sink.write([chunk(letter)]);
    }
    await sink.close();
    const names = readdirSync(folder).sort();
    expect(names).toHaveLength(4);
    expect(names).toContain('events.jsonl.old');
    const rotated = names.filter((name) => name !== 'events.jsonl.old' && name !== 'events.jsonl');
    const all = [...rotated, 'events.jsonl'].map((name) => readFileSync(join(folder, name), 'utf8')).join('');
    expect([...all.matchAll(/\n/g)]).toHaveLength(6);
    expect(
      all
        .split('\n')
        .map((line) => line[0] ?? '')
        .join(''),
    ).toBe('cdefgh');
  });

  test('by time, also of a file that a former process began, and never of an empty one', async () => {
    const path = join(folder, 'events.jsonl');
    const clock = createManualClock({ epochMs: Date.now() });
    const sink = createFileSink({ path, rotate: { max_mb: 100, hours: 1, keep: 5 } }, { clock });
    await sink.open();
    clock.advance(7_200_000);
    await sink.write(['{"a":1}\n']);
    expect(readdirSync(folder)).toHaveLength(1);
    await sink.close();
    const next = createFileSink({ path, rotate: { max_mb: 100, hours: 1, keep: 5 } }, { clock });
    await next.open();
    await next.write(['{"a":2}\n']);
    expect(readdirSync(folder)).toHaveLength(2);
    await next.write(['{"a":3}\n']);
    expect(readdirSync(folder)).toHaveLength(2);
    await next.close();
    expect(readFileSync(path, 'utf8')).toBe('{"a":2}\n{"a":3}\n');
  });

  test('one that cannot be rotated grows on', async () => {
    const path = join(folder, 'events.jsonl');
    const clock = createManualClock();
    const sink = createFileSink({ path, rotate: { max_mb: 1, keep: 2 } }, { clock });
    await sink.open();
    for (const letter of 'ab') await sink.write([chunk(letter)]);
    rmSync(path);
    await sink.write(['{"a":1}\n']);
    await sink.close();
    expect(readdirSync(folder)).toEqual([]);
  });
});
