import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/decision/ports.ts';
import { createDecisionLog, type DecisionLog, withDecisionLog } from '../../../src/decision-log/decision-log.ts';
import type { Sink } from '../../../src/decision-log/sink.ts';
import { accessRequest } from '../../support/core.ts';
import { logConfig } from '../../support/events.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { allowOutcome, denyOutcome } from '../../support/outcome.ts';

interface Watched {
  readonly log: DecisionLog;
  readonly dropped: () => number;
  readonly failed: string[];
  readonly logged: { readonly key: string; readonly fields: { readonly [name: string]: unknown } }[];
  readonly queueLength: () => number;
  readonly clock: ReturnType<typeof createManualClock>;
}

function watched(sinks: readonly Sink[] | undefined, parts: Parameters<typeof logConfig>[0] = {}): Watched {
  let dropped = 0;
  let length = (): number => 0;
  const failed: string[] = [];
  const logged: { key: string; fields: { readonly [name: string]: unknown } }[] = [];
  const clock = createManualClock();
  const log = createDecisionLog({
    config: logConfig(parts),
    labels: {},
    instanceId: 'instance-1',
    metrics: {
      decisionLogDropped: (events) => {
        dropped += events;
      },
      decisionLogSinkFailed: (sink) => failed.push(sink),
      trackDecisionLogQueue: (ask) => {
        length = ask;
      },
    },
    logger: { limited: (key, _, fields) => logged.push({ key, fields }) },
    randomBytes: (size) => new Uint8Array(size).fill(1),
    startTimer: clock.startTimer,
    schedule: setImmediate,
    monotonicMs: () => clock.now().monotonicMs,
    stdout: process.stdout,
    ...(sinks === undefined ? {} : { sinks }),
  });
  return { log, dropped: () => dropped, failed, logged, queueLength: () => length(), clock };
}

interface MemorySink extends Sink {
  readonly lines: () => { readonly sequence: number; readonly [name: string]: unknown }[];
}

function memorySink(write: Sink['write'] = () => Promise.resolve()): MemorySink {
  let text = '';
  return {
    name: 'memory',
    open: () => Promise.resolve(),
    write: async (lines) => {
      await write(lines);
      text += lines.join('');
    },
    reopen: () => Promise.resolve(),
    close: () => Promise.resolve(),
    lines: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}

const never = (): Promise<void> => new Promise(() => undefined);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sequences = (sink: MemorySink): number[] => sink.lines().map(({ sequence }) => sequence);

describe('record', () => {
  test('writes nothing before the caller goes on, then one line each, in order', async () => {
    const sink = memorySink();
    const { log, queueLength } = watched([sink]);
    await log.start();
    for (let i = 0; i < 3; i += 1) log.record(allowOutcome());
    expect(queueLength()).toBe(3);
    expect(sink.lines()).toEqual([]);
    await log.stop();
    expect(sequences(sink)).toEqual([1, 2, 3]);
    expect(queueLength()).toBe(0);
  });

  test('an outcome that is too much for the event is dropped, counted and a gap', async () => {
    const sink = memorySink();
    const { log, dropped, logged } = watched([sink]);
    await log.start();
    log.record(allowOutcome());
    log.record(allowOutcome({ at: { epochMs: Number.NaN, monotonicMs: 0 } }));
    log.record(allowOutcome());
    await log.stop();
    expect(sequences(sink)).toEqual([1, 3]);
    expect(dropped()).toBe(1);
    expect(logged.map(({ key }) => key)).toContain('decision-log-event');
  });

  test('a full queue drops what comes: counted, and visible as a gap in the sequence', async () => {
    const sink = memorySink();
    const { log, dropped } = watched([sink], { queue: { max_events: 10 } });
    await log.start();
    for (let i = 0; i < 25; i += 1) log.record(allowOutcome());
    await turn();
    await turn();
    for (let i = 0; i < 5; i += 1) log.record(allowOutcome());
    await log.stop();
    expect(sequences(sink)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 26, 27, 28, 29, 30]);
    expect(dropped()).toBe(15);
  });

  test('a sink that hangs costs bounded memory: the rest is dropped and counted, and stop ends', async () => {
    const sink = memorySink(never);
    const { log, dropped, queueLength, clock } = watched([sink], { queue: { max_events: 10 } });
    await log.start();
    for (let i = 0; i < 100; i += 1) {
      log.record(allowOutcome());
      await turn();
      await turn();
    }
    expect(queueLength()).toBe(10);
    expect(dropped()).toBe(90);
    const stopped = log.stop();
    await turn();
    clock.advance(2_000);
    await stopped;
    expect(dropped()).toBe(100);
  });

  test('one sink that hangs does not keep events from another', async () => {
    const good = memorySink();
    const { log, clock } = watched([memorySink(never), good], { queue: { max_events: 2 } });
    await log.start();
    for (let i = 0; i < 10; i += 1) {
      log.record(allowOutcome());
      await turn();
      await turn();
    }
    expect(sequences(good)).toHaveLength(10);
    const stopped = log.stop();
    await turn();
    clock.advance(2_000);
    await stopped;
  });

  test('a sink that fails is counted and reported, its events are dropped, and it is tried again', async () => {
    let writes = 0;
    const sink = memorySink(() => {
      writes += 1;
      return writes === 1 ? Promise.reject(new Error('ENOSPC')) : Promise.resolve();
    });
    const { log, dropped, failed, logged } = watched([sink]);
    await log.start();
    log.record(allowOutcome());
    log.record(allowOutcome());
    await turn();
    await turn();
    log.record(allowOutcome());
    await log.stop();
    expect(sequences(sink)).toEqual([3]);
    expect({ dropped: dropped(), failed }).toEqual({ dropped: 2, failed: ['memory'] });
    expect(logged.map(({ key }) => key)).toEqual(['decision-log-sink-memory', 'decision-log-sink memory']);
  });

  test('after stop it drops and counts', async () => {
    const sink = memorySink();
    const { log, dropped } = watched([sink]);
    await log.start();
    await log.stop();
    log.record(allowOutcome());
    expect(dropped()).toBe(1);
    expect(sink.lines()).toEqual([]);
  });

  test('a fault of the service is also named in the operational log, a caller’s denial is not', async () => {
    const { log, logged, dropped } = watched([]);
    await log.start();
    log.record(denyOutcome('policy_error', { cause: 'the module trapped' }));
    log.record(denyOutcome('unknown_route', { cause: 'no route' }));
    log.record(denyOutcome('policy_denied'));
    await log.stop();
    expect(logged).toEqual([
      {
        key: 'denied-policy_error',
        fields: {
          code: 'policy_error',
          decision_id: 'decision-1',
          door: 'ext_authz_grpc',
          cause: 'the module trapped',
        },
      },
    ]);
    expect(dropped()).toBe(0);
  });
});

describe('withDecisionLog', () => {
  test('answers the very outcome, and records it', async () => {
    const recorded: Outcome[] = [];
    const outcome = allowOutcome();
    const authorize = withDecisionLog(() => Promise.resolve(outcome), { record: (one) => recorded.push(one) });
    expect(await authorize(accessRequest())).toBe(outcome);
    expect(recorded).toEqual([outcome]);
  });

  test('a log that throws does not change the answer', async () => {
    const outcome = denyOutcome('policy_denied');
    const authorize = withDecisionLog(() => Promise.resolve(outcome), {
      record: () => {
        throw new Error('broken');
      },
    });
    expect(await authorize(accessRequest())).toBe(outcome);
  });
});

describe('the file sink', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const numbers = (path: string): unknown[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).sequence);

  test('appends to a file of mode 0600', async () => {
    const path = join(folder, 'events.jsonl');
    for (let start = 0; start < 2; start += 1) {
      const { log } = watched(undefined, { sinks: [{ file: { path } }] });
      await log.start();
      for (let i = 0; i < 500; i += 1) log.record(allowOutcome());
      await log.stop();
    }
    expect(numbers(path)).toHaveLength(1_000);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('does not start where it cannot write', async () => {
    const path = join(folder, 'missing', 'events.jsonl');
    const { log } = watched(undefined, { sinks: [{ file: { path } }] });
    await expect(log.start()).rejects.toThrow(`cannot open the decision log \`${path}\``);
  });

  test('writes to a new file after a rotation, and loses nothing', async () => {
    const path = join(folder, 'events.jsonl');
    const { log, dropped } = watched(undefined, { sinks: [{ file: { path } }] });
    await log.start();
    log.record(allowOutcome());
    await turn();
    await log.reopen();
    renameSync(path, `${path}.1`);
    await log.reopen();
    log.record(allowOutcome());
    await log.stop();
    expect(numbers(`${path}.1`)).toEqual([1]);
    expect(numbers(path)).toEqual([2]);
    expect(dropped()).toBe(0);
  });

  test('a reopening that fails says so and keeps the file in use', async () => {
    const path = join(folder, 'a', 'events.jsonl');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(join(folder, 'a'));
    const { log, dropped } = watched(undefined, { sinks: [{ file: { path } }] });
    await log.start();
    renameSync(join(folder, 'a'), join(folder, 'b'));
    await expect(log.reopen()).rejects.toThrow('cannot open the decision log');
    log.record(allowOutcome());
    await log.stop();
    expect(numbers(join(folder, 'b', 'events.jsonl'))).toEqual([1]);
    expect(dropped()).toBe(0);
  });

  test('a full disk is counted, and crashes nothing', async () => {
    const { log, dropped, failed } = watched(undefined, { sinks: [{ file: { path: '/dev/full' } }] });
    await log.start();
    log.record(allowOutcome());
    await log.stop();
    expect({ dropped: dropped(), failed }).toEqual({ dropped: 1, failed: ['file'] });
  });
});
