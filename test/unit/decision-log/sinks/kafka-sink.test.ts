import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { KafkaSinkConfig } from '../../../../src/decision-log/sinks/config-types.ts';
import type { ClientFault, KafkaRecord, ProducerSettings } from '../../../../src/decision-log/sinks/kafka-messages.ts';
import { createKafkaSink } from '../../../../src/decision-log/sinks/kafka-sink.ts';
import { createKafkaThread, type KafkaThread } from '../../../../src/decision-log/sinks/kafka-thread.ts';
import { freePort } from '../../../support/ports.ts';
import { faultOf, linesOf, PARTS, tellAll } from './sink-cases.ts';

const config: KafkaSinkConfig = {
  ...{ name: 'kafka', brokers: ['127.0.0.1:1'], topic: 'decisions', format: 'native', idempotent: true },
  ...{
    compression: 'gzip',
    timeout_ms: 200,
    insecure_plaintext: false,
    batch: { max_events: 500, max_bytes: 524_288 },
  },
};

interface Threads {
  readonly create: (settings: ProducerSettings) => KafkaThread;
  readonly sent: (readonly KafkaRecord[])[];
  readonly settings: ProducerSettings[];
  ended: number;
}

function threads(
  send: (records: readonly KafkaRecord[]) => Promise<ClientFault | undefined>,
  ready?: ClientFault,
): Threads {
  const all: Threads = {
    create: (settings) => {
      all.settings.push(settings);
      return {
        ready: async () => ready,
        send: (records) => {
          all.sent.push(records);
          return send(records);
        },
        end: async () => {
          all.ended += 1;
        },
      };
    },
    sent: [],
    settings: [],
    ended: 0,
  };
  return all;
}

describe('the kafka sink', () => {
  test('sends each event under the key of its instance', async () => {
    const all = threads(async () => undefined);
    const sink = createKafkaSink(config, PARTS, all.create);
    await sink.open();
    await sink.write(linesOf(2));
    expect(all.sent).toEqual([linesOf(2).map((line) => ({ key: 'instance-1', value: line.trimEnd() }))]);
    await sink.close();
    expect(all.ended).toBe(1);
  });

  test('halves what is too large, remembers it, and refuses the one event that never fits', async () => {
    const all = threads(async (records) =>
      records.length > 3 || records.some(({ value }) => value.includes('"d2"'))
        ? { code: 'MESSAGE_TOO_LARGE', message: 'MESSAGE_TOO_LARGE' }
        : undefined,
    );
    const fault = await faultOf(createKafkaSink(config, PARTS, all.create).write(linesOf(6)));
    expect(fault).toMatchObject({ kind: 'retry', refused: [1], delivered: [0, 2, 3, 4, 5] });
    expect(all.settings.length).toBe(1);
  });

  test.each([
    [
      'a fault of the brokers',
      async () => ({ code: 'NOT_ENOUGH_REPLICAS', message: 'NOT_ENOUGH_REPLICAS' }),
      'NOT_ENOUGH_REPLICAS',
    ],
    ['a thread that is gone', () => Promise.reject(new Error('the thread of the client ended')), 'ended'],
    ['no answer', () => new Promise<undefined>(() => {}), 'took longer than 200 ms'],
  ])('tries again with a new client after %s', async (_, send, message) => {
    const all = threads(send);
    const sink = createKafkaSink(config, PARTS, all.create);
    const fault = await faultOf(sink.write(linesOf(2)));
    expect(fault).toMatchObject({ kind: 'retry', refused: [], delivered: [] });
    expect(fault.message).toContain(message);
    await faultOf(sink.write(linesOf(2)));
    expect([all.settings.length, all.ended]).toEqual([2, 2]);
  });

  test('names the command that installs a missing package', async () => {
    const all = threads(async () => undefined, { code: 'missing_package', message: 'it is missing' });
    await expect(createKafkaSink(config, PARTS, all.create).open()).rejects.toThrow(
      'npm install @platformatic/kafka@2.12.1',
    );
  });

  test('names the file of a password that cannot be read', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'writer', password_file: '/nowhere/password' } as const;
    await expect(createKafkaSink({ ...config, sasl }, PARTS).open()).rejects.toThrow('`/nowhere/password`');
  });

  test('opens with the real client while no broker is there, and its errors hold no credential', async () => {
    const sasl = { mechanism: 'SCRAM-SHA-512', username: 'writer-canary', password: 'password-canary' } as const;
    const brokers = [`127.0.0.1:${await freePort()}`];
    const sink = createKafkaSink({ ...config, brokers, sasl, timeout_ms: 5_000 }, PARTS);
    await sink.open();
    const fault = await faultOf(sink.write(linesOf(1)));
    expect(fault.kind).toBe('retry');
    expect(fault.message).toContain('ECONNREFUSED');
    expect(tellAll(fault)).not.toContain('canary');
    await sink.close();
  });
});

describe('the thread of the client', () => {
  test('says that its package is missing where it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-kafka-worker-'));
    const source = new URL('../../../../src/decision-log/sinks/', import.meta.url);
    for (const name of ['kafka-worker.ts', 'kafka-messages.ts'])
      await copyFile(new URL(name, source), join(folder, name));
    const settings = {
      brokers: [],
      topic: 'decisions',
      idempotent: true,
      compression: 'none',
      timeoutMs: 100,
    } as const;
    const thread = createKafkaThread(settings, pathToFileURL(join(folder, 'kafka-worker.ts')));
    expect(await thread.ready()).toMatchObject({ code: 'missing_package' });
    await thread.end();
    await expect(thread.send([])).resolves.toMatchObject({ code: 'missing_package' });
    await rm(folder, { recursive: true });
  });
});
