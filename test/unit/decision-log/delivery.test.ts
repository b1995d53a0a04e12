import { describe, expect, test } from 'vitest';
import { decisionsIn } from '../../../src/decision-log/aggregates.ts';
import { createDelivery, type Delivery } from '../../../src/decision-log/delivery.ts';
import { type RemoteSink, SinkFault } from '../../../src/decision-log/sink.ts';
import type { SpoolReader } from '../../../src/decision-log/spool/spool.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const line = (at: number): string =>
  `{"decision_id":"d${at}","sequence":${at},"timestamp":"2026-11-02T12:00:0${at % 10}.000000000Z"}\n`;

interface Delivering {
  readonly delivery: Delivery;
  readonly writes: string[][];
  readonly refused: () => number;
  readonly failed: unknown[];
  readonly committed: () => number;
  readonly clock: ReturnType<typeof createManualClock>;
}

/** Batches of three lines from a list; `answers` are what the target does, one for each write, then it takes all. */
function delivering(count: number, answers: ((signal?: AbortSignal) => Promise<void>)[], toLine = line): Delivering {
  const clock = createManualClock();
  const writes: string[][] = [];
  const failed: unknown[] = [];
  let refused = 0;
  let at = 0;
  const all = Array.from({ length: count }, (_, index) => toLine(index));
  const sink: RemoteSink = {
    name: 'remote',
    remote: true,
    maxBatch: { events: 3, bytes: 100_000 },
    open: async () => {},
    write: (lines, signal) => {
      writes.push([...lines]);
      return answers.shift()?.(signal) ?? Promise.resolve();
    },
    reopen: async () => {},
    close: async () => {},
  };
  const reader: SpoolReader = {
    next: async ({ events }) => {
      const lines = all.slice(at, at + events);
      return lines.length === 0
        ? undefined
        : {
            lines,
            commit: () => {
              at += lines.length;
            },
          };
    },
    more: () => new Promise(() => undefined),
  };
  const delivery = createDelivery({
    sink,
    startTimer: clock.startTimer,
    random: () => 1,
    onRefused: (events) => {
      refused += events;
    },
    onFailed: (error) => failed.push(error),
    onDelivered: () => undefined,
  });
  delivery.start(reader);
  return { delivery, writes, refused: () => refused, failed, committed: () => at, clock };
}

async function turns(count = 5): Promise<void> {
  for (let at = 0; at < count; at += 1) await turn();
}

const fault = (parts: ConstructorParameters<typeof SinkFault>[1]) => (): Promise<void> =>
  Promise.reject(new SinkFault('no', parts));

describe('a delivery', () => {
  test('gives batch after batch, and commits what the target has', async () => {
    const { delivery, writes, committed } = delivering(7, []);
    await turns();
    expect(writes.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(committed()).toBe(7);
    await delivery.idle();
    await delivery.stop();
  });

  test.each([
    ['a SinkFault that says retry', fault({ kind: 'retry' })],
    ['any other error', () => Promise.reject(new Error('ECONNREFUSED'))],
    ['nothing at all', () => Promise.reject(undefined)],
  ])('%s: the same batch comes again, later each time, and nothing is lost', async (_, answer) => {
    const { delivery, writes, committed, refused, clock } = delivering(3, [answer, answer]);
    await turns();
    expect(writes).toHaveLength(1);
    clock.advance(499);
    await turns();
    expect(writes).toHaveLength(1);
    clock.advance(1);
    await turns();
    expect(writes).toHaveLength(2);
    clock.advance(1_000);
    await turns();
    expect(writes).toHaveLength(3);
    expect(writes[2]).toEqual(writes[0]);
    expect({ committed: committed(), refused: refused() }).toEqual({ committed: 3, refused: 0 });
    await delivery.stop();
  });

  test('a target that asks for patience gets it, within bounds', async () => {
    const { delivery, writes, clock } = delivering(1, [
      fault({ kind: 'retry', retryAfterMs: 30_000 }),
      fault({ kind: 'retry', retryAfterMs: 86_400_000 }),
    ]);
    await turns();
    clock.advance(29_999);
    await turns();
    expect(writes).toHaveLength(1);
    clock.advance(1);
    await turns();
    expect(writes).toHaveLength(2);
    clock.advance(300_000);
    await turns();
    expect(writes).toHaveLength(3);
    await delivery.stop();
  });

  test('of a batch in parts only what is neither taken nor refused comes again', async () => {
    const { delivery, writes, refused, committed, clock } = delivering(3, [
      fault({ kind: 'retry', delivered: [0], refused: [2] }),
    ]);
    await turns();
    clock.advance(1_000);
    await turns();
    expect(writes[1]).toEqual([line(1)]);
    expect({ committed: committed(), refused: refused() }).toEqual({ committed: 3, refused: 1 });
    await delivery.stop();
  });

  test('an aggregate that is refused counts as all that it stands for', () => {
    const aggregate = (count: unknown): string => `${JSON.stringify({ type: 'aggregate', sequence: 1, count })}\n`;
    expect(decisionsIn([line(1), aggregate(40), aggregate(2)])).toBe(43);
    expect(decisionsIn([aggregate('9'), aggregate(-1), '{"type":"aggregate",', ''])).toBe(4);
    expect(decisionsIn([`{"decision_id":"{\\"type\\":\\"aggregate\\",\\"count\\":9}"}\n`])).toBe(1);
  });

  test('a refused batch with aggregates is counted by what they stand for', async () => {
    const sum = `${JSON.stringify({ type: 'aggregate', sequence: 1, count: 40 })}\n`;
    const { delivery, refused } = delivering(2, [fault({ kind: 'refused' })], () => sum);
    await turns();
    expect(refused()).toBe(80);
    await delivery.stop();
  });

  test('a refused batch is counted and does not hold up the next', async () => {
    const { delivery, writes, refused, committed } = delivering(6, [fault({ kind: 'refused', delivered: [1] })]);
    await turns();
    expect(writes).toHaveLength(2);
    expect({ committed: committed(), refused: refused() }).toEqual({ committed: 6, refused: 2 });
    await delivery.stop();
  });

  test('a target that hangs is given up after a minute and asked again', async () => {
    let aborted = false;
    const { delivery, writes, failed, committed, clock } = delivering(3, [
      (signal) =>
        new Promise(() => {
          signal?.addEventListener('abort', () => {
            aborted = true;
          });
        }),
    ]);
    await turns();
    expect(delivery.oldestEpochMs()).toBe(Date.UTC(2026, 10, 2, 12));
    clock.advance(60_000);
    await turns();
    clock.advance(1_000);
    await turns();
    expect({ aborted, writes: writes.length, failed: failed.length, committed: committed() }).toEqual({
      aborted: true,
      writes: 2,
      failed: 1,
      committed: 3,
    });
    await delivery.stop();
  });

  test('stops at once within a hanging write, without a commit', async () => {
    const { delivery, committed } = delivering(3, [() => new Promise(() => undefined)]);
    await turns();
    await delivery.stop();
    expect(committed()).toBe(0);
  });
});
