import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDecisionLog, type DecisionLog } from '../../src/decision-log/decision-log.ts';
import type { RemoteSink } from '../../src/decision-log/sink.ts';
import type { RemoteSinkConfig } from '../../src/decision-log/sinks/config.ts';
import { createRemoteSink } from '../../src/decision-log/sinks/remote-sinks.ts';
import { createCertificateMaker } from '../support/certificates.ts';
import { logConfig } from '../support/events.ts';
import { type KafkaBroker, kafkaOrSkip, startKafka } from '../support/kafka.ts';
import { type OpenSearch, openSearchOrSkip, startOpenSearch } from '../support/opensearch.ts';
import { allowOutcome, denyOutcome } from '../support/outcome.ts';
import { eventually } from '../support/programs.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';

const kafka = await kafkaOrSkip();
const openSearch = await openSearchOrSkip();

/** Events before the target is killed, while it is down, and after it is back. */
const SHARE = 400;
const COUNT = 3 * SHARE;

const settings = { format: 'native', batch: { max_events: 100, max_bytes: 262_144 }, timeout_ms: 5_000 } as const;

interface Logging {
  readonly log: DecisionLog;
  record(events: number): void;
  dropped(): number;
  end(): Promise<void>;
}

/** A decision log with a spool and this one sink. */
async function startLog(sink: RemoteSinkConfig): Promise<Logging> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-sinks-'));
  let dropped = 0;
  let recorded = 0;
  const parts = {
    clock: systemClock,
    startTimer: startSystemTimer,
    labels: { region: 'eu-1' },
    instanceId: 'instance-1',
  };
  const log = createDecisionLog({
    ...parts,
    config: logConfig({ spool: { dir: folder, max_mb: 64, segment_mb: 1, fsync_ms: 100 } }),
    metrics: {
      decisionLogDropped: (events) => {
        dropped += events;
      },
      decisionLogSinkFailed: () => {},
      trackDecisionLogQueue: () => {},
    },
    logger: { limited: () => {} },
    randomBytes: (size) => new Uint8Array(size).fill(1),
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
    sinks: [createRemoteSink(sink, parts)],
  });
  await log.start();
  return {
    log,
    record: (events) => {
      for (let at = 0; at < events; at += 1) {
        recorded += 1;
        const overrides = { decisionId: `decision-${recorded}` };
        log.record(recorded % 4 === 0 ? denyOutcome('policy_denied', overrides) : allowOutcome(overrides));
      }
    },
    dropped: () => dropped,
    end: async () => {
      await log.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Sequence numbers, each once. */
function sequencesOf(lines: readonly string[]): ReadonlySet<number> {
  return new Set(lines.map((line) => Number(JSON.parse(line).sequence)));
}

const ALL = new Set(Array.from({ length: COUNT }, (_, at) => at + 1));

describe.skipIf(kafka === undefined)('a real Kafka broker', () => {
  let broker: KafkaBroker;
  let caFile: string;
  const maker = createCertificateMaker();
  const PASSWORD = 'password-canary';

  beforeAll(async () => {
    if (kafka === undefined) return;
    const beganMs = performance.now();
    const ca = maker.make('ca', { isCa: true });
    caFile = ca.cert;
    broker = await startKafka(kafka, { ...maker.make('broker', { ca, sans: ['DNS:localhost'] }), password: PASSWORD });
    console.info(`kafka started in ${Math.round(performance.now() - beganMs)} ms`);
  });
  afterAll(async () => {
    maker.remove();
    await broker?.remove();
  });

  test('has every event under the key of its instance, although it was killed and restarted on the way', async () => {
    await broker.createTopic('decisions');
    const logging = await startLog({
      kafka: {
        ...settings,
        ...{ name: 'kafka', brokers: [broker.address], topic: 'decisions', idempotent: true, compression: 'gzip' },
        insecure_plaintext: false,
      },
    });
    try {
      logging.record(SHARE);
      await broker.read('decisions', (messages) => messages.length >= 100);
      await broker.kill();
      logging.record(SHARE);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await broker.restart();
      const backMs = performance.now();
      logging.record(SHARE);
      const messages = await broker.read(
        'decisions',
        (read) => sequencesOf(read.map(({ value }) => value)).size >= COUNT,
      );
      const values = messages.map(({ value }) => value);
      console.info(
        `kafka: ${COUNT} events, ${values.length - COUNT} twice, the last ${Math.round(performance.now() - backMs)} ms after the restart`,
      );
      expect(sequencesOf(values)).toEqual(ALL);
      expect(new Set(messages.map(({ key }) => key))).toEqual(new Set(['instance-1']));
      expect(logging.dropped()).toBe(0);
    } finally {
      await logging.end();
    }
  });

  test('takes events by TLS from who has the password, and a wrong one is in no error', async () => {
    await broker.createTopic('secured');
    const secured = (password: string, tls: object): RemoteSink =>
      createRemoteSink(
        {
          kafka: {
            ...settings,
            ...{
              name: 'kafka',
              brokers: [broker.securedAddress],
              topic: 'secured',
              idempotent: true,
              compression: 'zstd',
            },
            ...{ tls, sasl: { mechanism: 'PLAIN', username: 'writer', password }, insecure_plaintext: false },
          },
        },
        { clock: systemClock, startTimer: startSystemTimer, labels: {}, instanceId: 'instance-1' },
      );
    const line = '{"sequence":1,"instance_id":"instance-1","timestamp":"2026-11-02T12:00:00Z"}\n';
    const sink = secured(PASSWORD, { ca: caFile });
    await sink.open();
    await sink.write([line]);
    await sink.close();
    expect((await broker.read('secured', (read) => read.length > 0)).map(({ value }) => value)).toEqual([
      line.trimEnd(),
    ]);
    for (const wrong of [secured('other-canary', { ca: caFile }), secured(PASSWORD, {})]) {
      const fault: unknown = await wrong.write([line]).catch((error: unknown) => error);
      expect(fault).toMatchObject({ kind: 'retry', refused: [], delivered: [] });
      expect(inspect(fault, { depth: 10 })).not.toContain('canary');
      await wrong.close();
    }
  });
});

describe.skipIf(openSearch === undefined)('a real OpenSearch', () => {
  let server: OpenSearch;

  beforeAll(async () => {
    if (openSearch === undefined) return;
    const beganMs = performance.now();
    server = await startOpenSearch(openSearch);
    console.info(`opensearch started in ${Math.round(performance.now() - beganMs)} ms`);
  });
  afterAll(() => server?.remove());

  const target = (): Omit<
    Extract<RemoteSinkConfig, { elasticsearch: unknown }>['elasticsearch'],
    'index' | 'name'
  > => ({
    ...settings,
    ...{ url: server.url, path: '/_bulk', insecure_http: false, timeout_ms: 20_000 },
  });
  const countOf = async (index: string): Promise<number> => {
    await server.ask(`/${index}/_refresh`, 'POST');
    const answer = await server.ask(`/${index}/_count`);
    return typeof answer === 'object' && answer !== null && 'count' in answer ? Number(answer.count) : -1;
  };

  test('has every event exactly once, although it was killed and restarted on the way', async () => {
    const logging = await startLog({
      elasticsearch: { ...target(), name: 'search', index: 'decisions-{yyyy}.{MM}.{dd}' },
    });
    try {
      logging.record(SHARE);
      await eventually(async () => ((await countOf('decisions-*')) >= 100 ? true : undefined), 30_000);
      await server.kill();
      logging.record(SHARE);
      await server.restart();
      const backMs = performance.now();
      logging.record(SHARE);
      await eventually(async () => ((await countOf('decisions-*')) >= COUNT ? true : undefined), 60_000);
      console.info(
        `opensearch: ${COUNT} events, the last ${Math.round(performance.now() - backMs)} ms after the restart`,
      );
      await logging.end();
      expect(await countOf('decisions-2026.11.02')).toBe(COUNT);
      expect(logging.dropped()).toBe(0);
    } finally {
      await logging.end();
    }
  });

  test.each(['native', 'ecs', 'ocsf'] as const)('takes every kind of event in the format %s', async (format) => {
    const index = `kinds-${format}`;
    const logging = await startLog({ elasticsearch: { ...target(), format, name: 'search', index } });
    try {
      logging.record(8);
      logging.log.recordAdministrative({ action: 'bundle_activated', details: { revision: 'r1', count: 1 } });
      await eventually(async () => ((await countOf(index)) >= 9 ? true : undefined), 30_000);
      expect(logging.dropped()).toBe(0);
    } finally {
      await logging.end();
    }
  });
});

describe('a receiver of OPA’s decision log API', () => {
  let server: Server | undefined;
  let received: string[] = [];

  const listen = (port: number): Promise<number> =>
    new Promise((resolve) => {
      server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const events: unknown = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString());
          if (!Array.isArray(events) || request.url !== '/logs') throw new Error('not as OPA sends it');
          received.push(...events.map((event) => JSON.stringify(event)));
          response.writeHead(204).end();
        });
      });
      const started = server;
      // A server that listens on TCP has such an address.
      started.listen(port, '127.0.0.1', () => resolve((started.address() as AddressInfo).port));
    });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server?.closeAllConnections();
      server?.close(() => resolve());
    });
  afterAll(stop);

  test('has every event, although it was away for a time', async () => {
    received = [];
    const port = await listen(0);
    const logging = await startLog({
      http: { ...settings, name: 'http', url: `http://127.0.0.1:${port}`, path: '/logs', insecure_http: false },
    });
    try {
      logging.record(SHARE);
      await eventually(() => (received.length >= 100 ? true : undefined));
      await stop();
      logging.record(SHARE);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await listen(port);
      logging.record(SHARE);
      await eventually(() => (sequencesOf(received).size >= COUNT ? true : undefined), 30_000);
      expect(sequencesOf(received)).toEqual(ALL);
      expect(logging.dropped()).toBe(0);
    } finally {
      await logging.end();
    }
  });
});
