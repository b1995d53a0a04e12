import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/decision/ports.ts';
import {
  createDecisionLog,
  type DecisionLog,
  type DecisionLogOptions,
  withDecisionLog,
} from '../../../src/decision-log/decision-log.ts';
import type { RemoteSink, Sink } from '../../../src/decision-log/sink.ts';
import { createMetrics, withMetrics } from '../../../src/telemetry/metrics.ts';
import { accessRequest, tenantA } from '../../support/core.ts';
import { logConfig } from '../../support/events.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { allowOutcome, denyOutcome } from '../../support/outcome.ts';

type Event = { readonly sequence: number; readonly [name: string]: unknown };

interface Watched {
  readonly log: DecisionLog;
  readonly dropped: () => number;
  readonly waiting: () => number;
  readonly given: Outcome[];
  readonly clock: ReturnType<typeof createManualClock>;
}

function watched(
  sinks: readonly Sink[],
  parts: Parameters<typeof logConfig>[0] = {},
  { gathers = false, ...options }: Partial<DecisionLogOptions> & { readonly gathers?: boolean } = {},
): Watched {
  let dropped = 0;
  let waiting = (): number => 0;
  const clock = createManualClock();
  const given: Outcome[] = [];
  const log = createDecisionLog({
    config: logConfig(parts),
    labels: {},
    instanceId: 'instance-1',
    metrics: {
      decisionLogDropped: (events) => {
        dropped += events;
      },
      decisionLogSinkFailed: () => undefined,
      trackDecisionLogQueue: (ask) => {
        waiting = ask;
      },
    },
    logger: { limited: () => undefined },
    randomBytes: (size) => new Uint8Array(size).fill(1),
    startTimer: clock.startTimer,
    ...(gathers ? {} : { schedule: setImmediate }),
    clock,
    random: () => 1,
    monotonicMs: () => clock.now().monotonicMs,
    stdout: process.stdout,
    sinks,
    onDenied: (outcome) => given.push(outcome),
    ...options,
  });
  return { log, dropped: () => dropped, waiting: () => waiting(), given, clock };
}

interface Gate extends Sink {
  readonly events: () => Event[];
  open(): Promise<void>;
  let(through: boolean): void;
}

/** A sink that takes lines only while it is let. */
function gate(): Gate {
  let text = '';
  let isOpen = false;
  let waiting: (() => void)[] = [];
  return {
    name: 'gate',
    open: async () => {},
    write: async (lines) => {
      if (!isOpen) await new Promise<void>((resolve) => waiting.push(resolve));
      text += lines.join('');
    },
    reopen: async () => {},
    close: async () => {},
    let: (through) => {
      isOpen = through;
      for (const go of waiting) go();
      waiting = [];
    },
    events: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((one) => JSON.parse(one)),
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function turns(count = 6): Promise<void> {
  for (let at = 0; at < count; at += 1) await turn();
}
async function stop({ log, clock }: Watched): Promise<void> {
  const stopped = log.stop();
  await turns();
  clock.advance(2_000);
  await turns();
  clock.advance(2_000);
  await stopped;
}
const answer = async (log: DecisionLog, outcome: Outcome): Promise<Outcome> =>
  withDecisionLog(() => Promise.resolve(outcome), log)(accessRequest());

describe('when_full: deny', () => {
  test('an Allow that finds no room becomes a Deny, a Deny stays, and all is well once there is room', async () => {
    const sink = gate();
    const one = watched([sink], { queue: { max_events: 4 }, when_full: 'deny' });
    await one.log.start();
    const answers: Outcome[] = [];
    for (let at = 0; at < 6; at += 1) {
      answers.push(await answer(one.log, allowOutcome()));
      await turns(2);
    }
    expect(answers.map(({ decision }) => (decision.kind === 'deny' ? decision.code : 'allow'))).toEqual([
      ...['allow', 'allow', 'allow', 'allow'],
      ...['overloaded', 'overloaded'],
    ]);
    expect(answers[5]?.decision).toMatchObject({ kind: 'deny', status: 503, reason: 'unavailable' });
    expect(one.given).toHaveLength(2);
    const denied = denyOutcome('policy_denied');
    expect(await answer(one.log, denied)).toBe(denied);
    expect(one.dropped()).toBe(3);
    sink.let(true);
    await turns();
    expect((await answer(one.log, allowOutcome())).decision.kind).toBe('allow');
    await stop(one);
    expect(sink.events().map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 8]);
  });

  const withoutRoom = async (parts: Parameters<typeof watched>[2] = {}): Promise<Watched> => {
    const one = watched([gate()], { queue: { max_events: 1 }, when_full: 'deny' }, parts);
    await one.log.start();
    await answer(one.log, allowOutcome());
    await turns();
    return one;
  };

  test('what was taken for an Allow is given back, and is not in the denial', async () => {
    let released = 0;
    const release = (): void => {
      released += 1;
    };
    const take = { reservationId: 'r1', release };
    const one = await withoutRoom({ onDenied: (outcome) => outcome.take?.release() });
    const denied = await answer(one.log, allowOutcome({ take, reservationId: 'r1' }));
    expect(denied.decision).toMatchObject({ kind: 'deny', code: 'overloaded' });
    expect(released).toBe(1);
    expect(denied).not.toHaveProperty('take');
    expect(denied).not.toHaveProperty('reservationId');
    await stop(one);
  });

  test('it is a denial also where giving back fails, or the outcome cannot be recorded', async () => {
    const fails = (): never => {
      throw new Error('the store is gone');
    };
    const full = await withoutRoom({ onDenied: fails });
    expect((await answer(full.log, allowOutcome())).decision.kind).toBe('deny');
    await stop(full);
    const broken = watched([{ ...gate(), name: 'a' }], { when_full: 'deny' }, { schedule: fails });
    await broken.log.start();
    expect((await answer(broken.log, allowOutcome())).decision.kind).toBe('deny');
    expect(broken.dropped()).toBe(1);
    await stop(broken);
  });

  test('the metrics around the log count it as denied', async () => {
    const one = await withoutRoom();
    const metrics = createMetrics({ processMetrics: false });
    const decide = withMetrics(
      withDecisionLog(() => Promise.resolve(allowOutcome()), one.log),
      metrics,
    );
    await decide(accessRequest());
    const text = await metrics.text();
    expect(text).toMatch(/^sallyport_decisions_total\{.*reason="overloaded".*\} 1$/m);
    expect(text).not.toMatch(/^sallyport_decisions_total\{.*decision="allow"/m);
    await stop(one);
  });

  test.each(['deny', 'block', 'drop'] as const)(
    'a local sink that refuses all: with `%s` the log is full in time, and with `drop` alone its events are lost',
    async (whenFull) => {
      let refuses = true;
      const sink = gate();
      sink.let(true);
      const write: Sink['write'] = (lines) => (refuses ? Promise.reject(new Error('ENOSPC')) : sink.write(lines));
      const one = watched([{ ...sink, write }], { queue: { max_events: 4 }, when_full: whenFull, block_ms: 1 });
      await one.log.start();
      const codes: string[] = [];
      for (let at = 0; at < 6; at += 1) {
        const answering = answer(one.log, allowOutcome());
        await turns(3);
        one.clock.advance(1);
        const { decision } = await answering;
        codes.push(decision.kind === 'deny' ? decision.code : 'allow');
      }
      expect(codes.filter((code) => code === 'overloaded')).toHaveLength(whenFull === 'deny' ? 2 : 0);
      expect(one.dropped()).toBe(whenFull === 'drop' ? 6 : 2);
      refuses = false;
      one.clock.advance(1_000);
      await turns();
      expect((await answer(one.log, allowOutcome())).decision.kind).toBe('allow');
      await stop(one);
      expect(sink.events().map(({ sequence }) => sequence)).toEqual(whenFull === 'drop' ? [7] : [1, 2, 3, 4, 7]);
    },
  );

  test('lines that gather before they are written take room too, and are written after 10 ms', async () => {
    const sink = gate();
    sink.let(true);
    const one = watched([sink], { queue: { max_events: 4 }, when_full: 'deny' }, { gathers: true });
    await one.log.start();
    const codes: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      const { decision } = await answer(one.log, allowOutcome());
      codes.push(decision.kind === 'deny' ? decision.code : 'allow');
      await turns(3);
    }
    expect(codes).toEqual(['allow', 'allow', 'allow', 'allow', 'overloaded']);
    one.clock.advance(9);
    await turns();
    expect(sink.events()).toEqual([]);
    one.clock.advance(1);
    await turns();
    expect(sink.events().map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect((await answer(one.log, allowOutcome())).decision.kind).toBe('allow');
    await stop(one);
    expect(sink.events().map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 6]);
    expect(one.dropped()).toBe(1);
  });

  test('denials that gather count within their share, and towards the pressure under which they are summed up', async () => {
    const sink = gate();
    sink.let(true);
    const few = watched([sink], { queue: { max_events: 4 }, when_full: 'deny' }, { gathers: true });
    await few.log.start();
    for (let at = 0; at < 3; at += 1) {
      await answer(few.log, denyOutcome('policy_denied', { principal: tenantA }));
      await turns(3);
    }
    expect(few.waiting()).toBe(2);
    expect(few.dropped()).toBe(1);
    await stop(few);
    expect(sink.events().map(({ sequence }) => sequence)).toEqual([1, 2]);

    const many = watched([gate()], { queue: { max_events: 400 }, when_full: 'deny' }, { gathers: true });
    await many.log.start();
    const { principal: _, ...anonymous } = denyOutcome('no_credential');
    for (let at = 0; at < 300; at += 1) {
      await answer(many.log, anonymous);
      await turns(3);
    }
    // Denials may have 200 places, and are summed up once half of them are taken.
    expect(many.dropped()).toBe(0);
    expect(many.waiting()).toBeLessThan(200);
    await stop(many);
  });

  test('a local sink that refuses to the end: what it kept is counted', async () => {
    const write: Sink['write'] = () => Promise.reject(new Error('EPIPE'));
    const one = watched([{ ...gate(), write }], { when_full: 'deny' });
    await one.log.start();
    for (let at = 0; at < 3; at += 1) await answer(one.log, allowOutcome());
    await turns();
    expect(one.dropped()).toBe(0);
    await stop(one);
    expect(one.dropped()).toBe(3);
  });
});

describe('when_full: block', () => {
  const full = async (sink: Gate, parts: Parameters<typeof logConfig>[0] = {}): Promise<Watched> => {
    const one = watched([sink], { queue: { max_events: 2 }, when_full: 'block', block_ms: 100, ...parts });
    await one.log.start();
    for (let at = 0; at < 2; at += 1) await answer(one.log, allowOutcome());
    await turns();
    return one;
  };

  test('an answer waits for room and is recorded then', async () => {
    const sink = gate();
    const one = await full(sink);
    let answered = false;
    const waiting = answer(one.log, allowOutcome()).then(() => {
      answered = true;
    });
    await turns();
    expect(answered).toBe(false);
    sink.let(true);
    await waiting;
    await stop(one);
    expect(sink.events().map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(one.dropped()).toBe(0);
  });

  test('it waits `block_ms` at the most, then it is answered as decided, counted, and a gap', async () => {
    const sink = gate();
    const one = await full(sink);
    const waiting = answer(one.log, allowOutcome());
    await turns();
    one.clock.advance(100);
    expect((await waiting).decision.kind).toBe('allow');
    expect(one.dropped()).toBe(1);
    sink.let(true);
    await turns();
    await answer(one.log, allowOutcome());
    await stop(one);
    expect(sink.events().map(({ sequence }) => sequence)).toEqual([1, 2, 4]);
  });

  test('it waits no longer than the request may', async () => {
    const sink = gate();
    const one = await full(sink, { block_ms: 5_000 });
    const request = accessRequest({ deadlineMs: 50 });
    const waiting = answer(one.log, allowOutcome({ request, at: one.clock.now() }));
    await turns();
    one.clock.advance(45);
    await waiting;
    expect(one.dropped()).toBe(1);
    const over = allowOutcome({ request, at: { epochMs: 0, monotonicMs: 0 } });
    expect(await answer(one.log, over)).toBe(over);
    sink.let(true);
    await stop(one);
  });

  test('stop lets all that wait go on', async () => {
    const sink = gate();
    const one = await full(sink);
    const waiting = answer(one.log, allowOutcome());
    await turns();
    sink.let(true);
    await stop(one);
    expect((await waiting).decision.kind).toBe('allow');
  });
});

describe('shares', () => {
  test('a flood of denials leaves the room of allows and of administrative events free', async () => {
    const sink = gate();
    const one = watched([sink], { queue: { max_events: 10 } });
    await one.log.start();
    for (let at = 0; at < 100; at += 1) one.log.record(denyOutcome('policy_denied', { principal: tenantA }));
    for (let at = 0; at < 5; at += 1) one.log.record(allowOutcome());
    one.log.recordAdministrative({ action: 'bundle_activated', details: { bundle: 'authz', revision: 'r2' } });
    expect(one.dropped()).toBe(95);
    sink.let(true);
    await stop(one);
    const kinds = sink.events().map((event) => event['action'] ?? event['decision']);
    expect(kinds.filter((kind) => kind === 'deny')).toHaveLength(5);
    expect(kinds.filter((kind) => kind === 'allow')).toHaveLength(5);
  });

  test('an administrative event holds no credential and is bounded', async () => {
    const sink = gate();
    sink.let(true);
    const one = watched([sink]);
    await one.log.start();
    const details = { cause: 'Bearer eyJhbGciOiJSUzI1NiJ9.abcdefgh.ijklmnop', long: 'x'.repeat(1_000), count: 3 };
    one.log.recordAdministrative({ action: 'usage_refused', details });
    await stop(one);
    const [event] = sink.events();
    expect(event).toMatchObject({
      type: 'administrative',
      sequence: 1,
      action: 'usage_refused',
      instance_id: 'instance-1',
    });
    expect(JSON.stringify(event)).not.toContain('eyJ');
    expect(JSON.stringify(event).length).toBeLessThan(800);
  });
});

describe('aggregates', () => {
  const refused = (address: string, id: string): Outcome => {
    const {
      principal: _,
      inspected: __,
      ...rest
    } = denyOutcome('no_credential', {
      decisionId: id,
      request: accessRequest({ sourceAddress: address }),
    });
    return rest;
  };

  test('unverified denials beyond the rate become one event for each code, route and address prefix', async () => {
    const sink = gate();
    sink.let(true);
    const one = watched([sink], { aggregate: { above_per_second: 3 } });
    await one.log.start();
    for (let at = 0; at < 103; at += 1) one.log.record(refused(`203.0.${at % 2}.${at}`, `d${at}`));
    for (let at = 0; at < 5; at += 1) one.log.record(denyOutcome('policy_denied', { principal: tenantA }));
    await turns();
    one.clock.advance(1_000);
    await stop(one);
    const events = sink.events();
    expect(events.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 10 }, (_, at) => at + 1));
    const sums = events.filter((event) => event['type'] === 'aggregate');
    expect(sums).toMatchObject([
      { code: 'no_credential', address: '203.0.1.0/24', count: 50, first_decision_id: 'd3', last_decision_id: 'd101' },
      { code: 'no_credential', address: '203.0.0.0/24', count: 50, first_decision_id: 'd4', last_decision_id: 'd102' },
    ]);
    expect(one.dropped()).toBe(0);
  });

  test('a flood from everywhere costs a bounded number of events', async () => {
    const sink = gate();
    sink.let(true);
    const one = watched([sink], { aggregate: { above_per_second: 0 } });
    await one.log.start();
    for (let at = 0; at < 5_000; at += 1) {
      one.log.record(
        refused(at % 2 === 0 ? `10.${at >> 8}.${at & 255}.1` : `2001:db8:${at.toString(16)}::1`, `d${at}`),
      );
    }
    await stop(one);
    const sums = sink.events();
    expect(sums.length).toBeLessThanOrEqual(257);
    expect(sums.reduce((sum, event) => sum + Number(event['count']), 0)).toBe(5_000);
    expect(sums.map((event) => event['address'])).toContain('other');
    expect(sums.map((event) => event['address'])).toContain('2001:db8:1::/48');
  });
});

describe('aggregates that are lost', () => {
  const flood = (log: DecisionLog, count: number, second = 0): void => {
    for (let at = 0; at < count; at += 1) {
      const request = accessRequest({ sourceAddress: `10.${second}.${at % 200}.1` });
      const {
        principal: _,
        inspected: __,
        ...rest
      } = denyOutcome('no_credential', { request, at: { epochMs: 0, monotonicMs: second * 1_000 } });
      log.record(rest);
    }
  };
  const standFor = (events: readonly Event[]): number =>
    events.reduce((sum, event) => sum + (event['type'] === 'aggregate' ? Number(event['count']) : 1), 0);

  test.each([
    ['that hangs', () => new Promise<void>(() => undefined)],
    ['that refuses', () => Promise.reject(new Error('ENOSPC'))],
  ])('in a sink %s count as all the denials that they stand for', async (_, write) => {
    const one = watched([{ ...gate(), write }], { queue: { max_events: 300 }, aggregate: { above_per_second: 0 } });
    await one.log.start();
    for (let second = 0; second < 5; second += 1) {
      flood(one.log, 1_000, second);
      await turns();
      one.clock.advance(1_000);
      await turns();
    }
    await stop(one);
    expect(one.dropped()).toBe(5_000);
  });

  test('have no more room than denials have, and none of what is kept for the service itself', async () => {
    const sink = gate();
    const one = watched([sink], { queue: { max_events: 20 }, aggregate: { above_per_second: 0 } });
    await one.log.start();
    flood(one.log, 2_000);
    one.clock.advance(1_000);
    expect(one.dropped()).toBe(1_900);
    for (let at = 0; at < 10; at += 1) one.log.record(allowOutcome());
    for (let at = 0; at < 256; at += 1) one.log.recordAdministrative({ action: 'bundle_activated' });
    expect(one.dropped()).toBe(1_900);
    sink.let(true);
    await turns();
    await stop(one);
    const kept = sink.events().filter((event) => event['type'] === 'aggregate');
    expect(standFor(kept)).toBe(100);
  });
});

describe('remote sinks', () => {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-log-spool-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const SPOOL = { max_mb: 8, segment_mb: 1, fsync_ms: 0 };
  const spooled = (): number =>
    readdirSync(join(dir, 'kept'))
      .map((name) => readFileSync(join(dir, 'kept', name), 'utf8').split('\n').length - 1)
      .reduce((sum, lines) => sum + lines, 0);
  const remote = (write: Sink['write']): RemoteSink => ({
    name: 'remote',
    remote: true,
    maxBatch: { events: 100, bytes: 1_000_000 },
    open: async () => {},
    write,
    reopen: async () => {},
    close: async () => {},
  });

  test('events that a dead target did not take are delivered by the next process, each once', async () => {
    const got: string[] = [];
    const first = watched([remote(() => Promise.reject(new Error('down')))], { spool: { dir, ...SPOOL } });
    await first.log.start();
    for (let at = 0; at < 50; at += 1) first.log.record(allowOutcome());
    await expect.poll(spooled).toBe(50);
    const stopped = first.log.stop();
    await turns();
    first.clock.advance(2_000);
    await stopped;
    expect(first.dropped()).toBe(0);
    const second = watched([remote(async (lines) => void got.push(...lines))], { spool: { dir, ...SPOOL } });
    await second.log.start();
    second.log.record(allowOutcome());
    await expect.poll(() => got.length).toBe(51);
    await second.log.stop();
    expect(got.map((one) => JSON.parse(one).sequence).toSorted((a, b) => a - b)).toEqual([
      ...[1, 1],
      ...Array.from({ length: 49 }, (_, at) => at + 2),
    ]);
  });

  test('a spool that is no folder keeps the log from starting', async () => {
    writeFileSync(join(dir, 'file'), '');
    const one = watched([remote(async () => {})], { spool: { dir: join(dir, 'file'), ...SPOOL } });
    await expect(one.log.start()).rejects.toThrow();
    expect(readdirSync(dir)).toEqual(['file']);
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('');
  });
});
