import { randomBytes } from 'node:crypto';
import { Counter, Histogram, Registry } from 'prom-client';
import type { Outcome } from '../../src/decision/ports.ts';
import { createDecisionLog, type DecisionLog, withDecisionLog } from '../../src/decision-log/decision-log.ts';
import { createWriteEvent } from '../../src/decision-log/event.ts';
import type { Sink } from '../../src/decision-log/sink.ts';
import { createMetrics, withMetrics } from '../../src/telemetry/metrics.ts';
import { createSpanIds } from '../../src/telemetry/tracing.ts';
import { accessRequest, tenantA } from '../support/core.ts';
import { logConfig } from '../support/events.ts';
import { allowOutcome, denyOutcome, withConstants } from '../support/outcome.ts';

/**
 * CPU per decision of the decision log and the metrics, on the reply path and after it. `node test/bench/record.ts`
 * prints microseconds; prom-client's own counter and histogram stand beside ours for comparison.
 */
const COUNT = 200_000;

const token = ['eyJhbGciOiJSUzI1NiJ9', randomBytes(150).toString('base64url'), randomBytes(256).toString('base64url')];
const body = Buffer.from(JSON.stringify({ model: 'llama-3-8b', prompt: 'p'.repeat(1_000) }));

function outcomes(): readonly Outcome[] {
  const request = accessRequest({
    door: 'ext_authz_grpc',
    requestId: '7f1f4f7e-8d1c-4f0e-9b57-0d3a6a3c9f10',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    body: { bytes: body, complete: true },
    headerList: [
      ['authorization', `Bearer ${token.join('.')}`],
      ['content-type', 'application/json'],
      ['user-agent', 'bench'],
    ],
  });
  const principal = {
    ...tenantA,
    credentials: [{ kind: 'jwt' as const, header: 'authorization', presented: `Bearer ${token.join('.')}` }],
  };
  const generation = withConstants('tenant mismatch');
  return [
    allowOutcome({ request, principal, generation }),
    denyOutcome('policy_denied', {
      request,
      principal,
      generation,
      reasons: ['tenant mismatch'],
      result: { allow: false, reasons: ['tenant mismatch'] },
    }),
  ];
}

const decided = outcomes();
const one = (index: number): Outcome => {
  const outcome = decided[index & 1];
  if (outcome === undefined) throw new Error('two outcomes were made');
  return outcome;
};

async function main(): Promise<void> {
  const metrics = createMetrics({ processMetrics: false });
  report('metrics: count an outcome (counter and five durations)', (index) => metrics.countDecision(one(index)));
  comparePromClient();

  const sink = countingSink();
  const log = createDecisionLog({
    config: logConfig({ queue: { max_events: COUNT } }),
    labels: { region: 'eu-1' },
    instanceId: 'bench',
    metrics,
    logger: { limited: () => undefined },
    randomBytes,
    startTimer: (ms, late) => {
      const timer = setTimeout(late, ms);
      return () => clearTimeout(timer);
    },
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
    sinks: [sink],
  });
  await log.start();
  await reportLog(log, sink);

  const options = { config: logConfig(), labels: {}, instanceId: 'bench', nextSpanId: createSpanIds(randomBytes) };
  const writeEvent = createWriteEvent(options);
  report('  of which: write the event', (index) => writeEvent(one(index), index));

  await reportWrapping();
}

/** In rounds that fit the sink's buffer, so that nothing is dropped; the first round is the warm-up. */
async function reportLog(log: DecisionLog, sink: CountingSink): Promise<void> {
  const inRound = COUNT / 20;
  let recording = 0;
  let writing = 0;
  for (let round = 0; round <= 20; round += 1) {
    const before = process.cpuUsage();
    for (let index = 0; index < inRound; index += 1) log.record(one(index));
    const between = process.cpuUsage();
    while (sink.lines() < inRound * (round + 1)) await new Promise((resolve) => setImmediate(resolve));
    if (round === 0) continue;
    recording += cpuMicros(before) - cpuMicros(between);
    writing += cpuMicros(between);
  }
  print('log: record, on the reply path', recording / COUNT);
  print('log: build, write as JSON and hand to the sink, after the reply', writing / COUNT);
  console.info(`${sink.lines()} lines, ${Math.round(sink.bytes() / sink.lines())} bytes each`);
  await log.stop();
}

/** What the two wrappers add to an `authorize` that answers at once. */
async function reportWrapping(): Promise<void> {
  const metrics = createMetrics({ processMetrics: false });
  const bare = (): Promise<Outcome> => Promise.resolve(one(0));
  const wrapped = withDecisionLog(withMetrics(bare, metrics), { record: () => undefined });
  for (const [name, authorize] of [
    ['authorize that answers at once', bare],
    ['the same with metrics and log around it', wrapped],
  ] as const) {
    for (const _ of [1, 2]) {
      const before = process.cpuUsage();
      for (let index = 0; index < COUNT; index += 1) await authorize(one(0).request);
      if (_ === 2) print(name, cpuMicros(before) / COUNT);
    }
  }
}

function comparePromClient(): void {
  const registers = [new Registry()];
  const labelNames = ['door', 'route', 'decision', 'reason'] as const;
  const counter = new Counter({ name: 'compared_total', help: 'x', labelNames, registers });
  const histogram = new Histogram({ name: 'compared_seconds', help: 'x', labelNames: ['door', 'phase'], registers });
  report('  prom-client: one labelled counter', () =>
    counter.inc({ door: 'ext_authz_grpc', route: 'infer', decision: 'allow', reason: 'allowed' }),
  );
  report('  prom-client: one labelled histogram', () =>
    histogram.observe({ door: 'ext_authz_grpc', phase: 'decide' }, 0.0001),
  );
}

function report(name: string, run: (index: number) => unknown): void {
  for (let index = 0; index < COUNT / 4; index += 1) run(index);
  const before = process.cpuUsage();
  for (let index = 0; index < COUNT; index += 1) run(index);
  print(name, cpuMicros(before) / COUNT);
}

function cpuMicros(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function print(name: string, micros: number): void {
  console.info(`${name.padEnd(66)} ${micros.toFixed(3)} µs`);
}

interface CountingSink extends Sink {
  readonly lines: () => number;
  readonly bytes: () => number;
}

function countingSink(): CountingSink {
  let lines = 0;
  let bytes = 0;
  const done = Promise.resolve();
  return {
    name: 'counting',
    open: () => done,
    write: (written) => {
      for (const line of written) bytes += Buffer.byteLength(line);
      lines += written.length;
      return done;
    },
    reopen: () => done,
    close: () => done,
    lines: () => lines,
    bytes: () => bytes,
  };
}

await main();
