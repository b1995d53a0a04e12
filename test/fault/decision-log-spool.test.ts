import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSpoolLines } from '../../src/decision-log/spool/spool-line.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';

/**
 * SECURITY row 20 for the decision log: what was written to the spool outlives kill -9, a target that is down, and damage
 * to the spool. Events are told apart by `instance_id` and `sequence`.
 */
const PROGRAM = join(import.meta.dirname, 'fixtures/spool-load.ts');
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-spool-fault-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Health = 'dead' | 'flaky' | 'well' | 'later';

/** Starts the program; resolves once it records. */
async function start(
  health: Health,
  events?: number,
  launch: readonly string[] = [],
): Promise<{ readonly child: ChildProcess; readonly output: () => string }> {
  const program = [process.execPath, PROGRAM, join(folder, 'spool'), join(folder, 'target.jsonl'), health];
  const [command = '', ...args] = [...launch, ...program, ...(events === undefined ? [] : [String(events)])];
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  while (!output.includes('instance')) await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
  return { child, output: () => output };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit');
}

interface Event {
  readonly instance_id: string;
  readonly sequence: number;
  readonly decision: string;
}
const idOf = ({ instance_id, sequence }: Event): string => `${instance_id}:${sequence}`;

/** The whole lines of the spool, as it lies there. */
function spooled(): Event[] {
  return ['kept', 'denied'].flatMap((lane) => {
    const path = join(folder, 'spool', lane);
    return readdirSync(path)
      .filter((name) => name.endsWith('.spool'))
      .flatMap((name) => readSpoolLines(readFileSync(join(path, name))).lines)
      .map((line): Event => JSON.parse(line));
  });
}

/** What the target has; a batch that was cut off by the kill may have left a part of a line, which is sent again. */
function delivered(): Event[] {
  let text = '';
  try {
    text = readFileSync(join(folder, 'target.jsonl'), 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line): Event[] => {
    try {
      return line === '' ? [] : [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}

describe('a decision log whose process is killed', () => {
  test('every event of the spool is delivered after the restart, and none is missing among them', async () => {
    const random = createRandom(seedOf('spool kill'));
    const rounds = Math.min(40, Math.max(3, caseCount(10)));
    const known = new Map<string, Event>();
    for (let round = 0; round < rounds; round += 1) {
      const { child } = await start(round % 2 === 0 ? 'flaky' : 'dead');
      await new Promise((resolve) => setTimeout(resolve, 100 + random.below(400)));
      await kill(child);
      for (const event of [...spooled(), ...delivered()]) known.set(idOf(event), event);
    }
    const { child, output } = await start('well', 10);
    await ended(child);
    expect(output()).toContain('dropped 0\n');
    const got = delivered();
    const ids = new Set(got.map(idOf));
    const lost = [...known.keys()].filter((id) => !ids.has(id));
    expect(lost).toEqual([]);
    expect(spooled().filter((event) => !ids.has(idOf(event)))).toEqual([]);
    // Of each process and lane the events are there from the first to some last one, which the kill came after.
    const lanes = new Map<string, number[]>();
    for (const event of new Map(got.map((one) => [idOf(one), one])).values()) {
      const lane = `${event.instance_id} ${event.decision}`;
      lanes.set(lane, [...(lanes.get(lane) ?? []), event.sequence]);
    }
    for (const [lane, sequences] of lanes) {
      const first = lane.endsWith('allow') ? 1 : 2;
      const expected = sequences.map((_, at) => first + 2 * at);
      expect(sequences.toSorted((a, b) => a - b)).toEqual(expected);
    }
    console.info(
      `spool: ${rounds} processes killed under load, ${known.size} events known to spool or target, ` +
        `${ids.size} delivered (${got.length - ids.size} twice), 0 lost (seed ${random.seed})`,
    );
  }, 120_000);

  test('corrupted in the middle: all but the damaged events are delivered', async () => {
    const { child } = await start('dead');
    await new Promise((resolve) => setTimeout(resolve, 600));
    await kill(child);
    const before = new Set(spooled().map(idOf));
    expect(before.size).toBeGreaterThan(100);
    const path = join(folder, 'spool/kept', readdirSync(join(folder, 'spool/kept'))[0] ?? '');
    const bytes = readFileSync(path);
    const middle = Math.floor(bytes.length / 2);
    bytes.fill(0x58, middle, middle + 700);
    writeFileSync(path, bytes);
    const well = await start('well', 10);
    await ended(well.child);
    const got = new Set(delivered().map(idOf));
    const lost = [...before].filter((id) => !got.has(id));
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length).toBeLessThanOrEqual(3);
    expect(readdirSync(join(folder, 'spool/kept')).some((name) => name.endsWith('.quarantine'))).toBe(true);
  }, 60_000);

  test('a disk that is full: what finds no room is counted, all else is delivered, and it recovers by itself', async (context) => {
    const mount = `mkdir -p "$0" && mount -t tmpfs -o size=2m tmpfs "$0"`;
    const small = ['unshare', '-Urm', 'sh', '-c', `${mount} && exec "$@"`, join(folder, 'spool')];
    if (spawnSync(small[0] ?? '', [...small.slice(1), 'true']).status !== 0) context.skip('no tmpfs of its own here');
    const events = 12_000;
    const { child, output } = await start('later', events, small);
    while (!output().includes('the disk refuses')) await once(child.stdout ?? child, 'data');
    writeFileSync(join(folder, 'target.jsonl.up'), '');
    await ended(child);
    const dropped = Number(/dropped (\d+)/.exec(output())?.[1] ?? Number.NaN);
    const got = new Set(delivered().map(idOf));
    expect(got.size + dropped).toBe(events);
    expect(got.size).toBeGreaterThan(1_000);
    console.info(
      `spool on a full disk of 2 MB: ${events} recorded, ${got.size} delivered, ${dropped} dropped and counted`,
    );
  }, 120_000);
});
