import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { createDecisionLog, withDecisionLog } from '../../../src/decision-log/decision-log.ts';
import type { Sink } from '../../../src/decision-log/sink.ts';
import { logConfig } from '../../support/events.ts';
import { startSystemTimer } from '../../support/system-ports.ts';
import { runLogTrial } from './log-process.ts';
import type { Trials } from './matrix.ts';
import { startWith } from './start-up.ts';
import { openWorld, realTimeCore } from './world.ts';

const ACCOUNTED = 'same answers, every event accounted for';
const ROUNDS = 30;

/** Calls through both doors with a sink that writes so; `write` answers how many of the lines it wrote. */
async function trial(write: (lines: readonly string[]) => Promise<number>, maxEvents = 10_000): Promise<string> {
  let written = 0;
  let dropped = 0;
  const sink: Sink = {
    name: 'failing',
    open: () => Promise.resolve(),
    write: async (lines) => {
      const count = await write(lines);
      written += count;
      if (count < lines.length) throw new Error('EIO: i/o error, write');
    },
    reopen: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const log = createDecisionLog({
    config: logConfig({ queue: { max_events: maxEvents } }),
    labels: {},
    instanceId: 'fail-closed',
    metrics: {
      decisionLogDropped: (events) => {
        dropped += events;
      },
      decisionLogSinkFailed: () => undefined,
      trackDecisionLogQueue: () => undefined,
    },
    logger: { limited: () => undefined },
    randomBytes,
    // The two seconds that `stop` waits for a sink are none of the matter.
    startTimer: (delayMs, late) => startSystemTimer(Math.min(delayMs, 500), late),
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
    sinks: [sink],
  });
  await log.start();
  let anonymous = true;
  const world = await openWorld(
    withDecisionLog(
      realTimeCore({
        authenticate: () =>
          anonymous
            ? { kind: 'anonymous', peer: null, stripHeaders: [] }
            : { kind: 'refused', code: 'invalid_credential', cause: 'test' },
      }),
      log,
    ),
  );
  const answers = new Set<string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    anonymous = round % 2 === 0;
    answers.add(await world.ask());
  }
  await world.stop();
  await log.stop();
  const asked = ROUNDS * 2;
  if ([...answers].sort().join(', ') !== 'allow, deny invalid_credential') return `answers: ${[...answers].join(', ')}`;
  // A line that was written before its chunk failed counts as dropped too: more is counted than lost, never less.
  return written + dropped >= asked && dropped <= asked
    ? ACCOUNTED
    : `${asked} asked, ${written} written, ${dropped} dropped`;
}

const waitMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const logTrials: Trials = {
  healthy: async () => ((await trial(async (lines) => lines.length)) === ACCOUNTED ? 'allow' : 'not accounted for'),
  faults: {
    down: () =>
      startWith(({ folder, configFile, config }) =>
        writeFile(configFile, stringify({ ...config, decision_log: { sinks: [{ file: { path: folder } }] } })),
      ),
    slow: () =>
      trial(async (lines) => {
        await waitMs(20);
        return lines.length;
      }),
    hang: () => trial(() => new Promise(() => undefined)),
    garbage: () => trial(() => Promise.reject(undefined)),
    partial: () => trial(async (lines) => Math.floor(lines.length / 2)),
    reset: () => runLogTrial({ sink: { stdout: {} }, reader: 'true' }),
    full: () => trial(() => new Promise(() => undefined), 5),
    stalled: () => runLogTrial({ sink: { stdout: {} }, reader: 'sleep 3; cat > "$EVENTS"' }),
  },
};
