import { parentPort, workerData } from 'node:worker_threads';
import type { Producer, SASLOptions } from '@platformatic/kafka';
import type { ClientFault, ProducerSettings, SendOrder, SendReport } from './kafka-messages.ts';

/** The thread that `kafka-thread.ts` starts: one producer, one order at a time. */
async function openProducer(settings: ProducerSettings): Promise<Producer> {
  const { Producer: Client } = await import('@platformatic/kafka');
  const { brokers, idempotent, compression, timeoutMs, tls, sasl } = settings;
  return new Client({
    clientId: 'sallyport',
    bootstrapBrokers: [...brokers],
    idempotent,
    acks: ALL_IN_SYNC,
    compression,
    // Waits and retries are the log's: a client that goes on by itself would send what was given up. It takes 1 as
    // "for ever" where it is idempotent.
    retries: 2,
    retryDelay: 250,
    timeout: timeoutMs,
    connectTimeout: Math.min(timeoutMs, MAX_CONNECT_MS),
    requestTimeout: timeoutMs,
    // The worker's data are a copy: buffers have become plain arrays of bytes.
    ...(tls === undefined ? {} : { tls: { ...toBuffers(tls), minVersion: 'TLSv1.2' as const }, tlsServerName: true }),
    // The schema of the config allows no other mechanisms.
    ...(sasl === undefined ? {} : { sasl: sasl as SASLOptions }),
  });
}

const ALL_IN_SYNC = -1;
const MAX_CONNECT_MS = 5_000;

function toBuffers(tls: NonNullable<ProducerSettings['tls']>): { readonly [name: string]: Buffer } {
  return Object.fromEntries(Object.entries(tls).map(([name, bytes]) => [name, Buffer.from(bytes)]));
}

/** Words of the client's, chosen so that no setting and no event is among them. */
function faultOf(error: unknown): ClientFault {
  // The client has no code for it where it asks for no topic to be made.
  if (error instanceof Error && error.message.startsWith('Unknown topic')) return UNKNOWN_TOPIC;
  const codes = codesOf(error, 0);
  const telling = codes.filter((code) => !code.startsWith('PLT_KFK_'));
  const [code = 'failed', ...more] = new Set(telling.length === 0 ? codes : telling);
  return { code, message: [code, ...more].join(', ') };
}

function codesOf(error: unknown, depth: number): readonly string[] {
  if (!(error instanceof Error) || depth > MAX_DEPTH) return [];
  const own = ['apiId' in error ? error.apiId : undefined, 'code' in error ? error.code : undefined].filter(
    (code): code is string => typeof code === 'string' && WORD.test(code),
  );
  const parts = error instanceof AggregateError ? error.errors.slice(0, MAX_PARTS) : [];
  return [...[error.cause, ...parts].flatMap((part) => codesOf(part, depth + 1)), ...own];
}

const UNKNOWN_TOPIC = { code: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'UNKNOWN_TOPIC_OR_PARTITION' };
const WORD = /^[A-Z_]{3,64}$/;
const MAX_DEPTH = 6;
const MAX_PARTS = 8;

function report(one: SendReport): void {
  parentPort?.postMessage(one);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}

// Only `kafka-thread.ts` starts this file.
const settings = workerData as ProducerSettings;
try {
  const producer = await openProducer(settings);
  parentPort?.on('message', ({ id, records }: SendOrder) => {
    const messages = records.map(({ key, value }) => ({
      topic: settings.topic,
      key: Buffer.from(key),
      value: Buffer.from(value),
    }));
    producer.send({ messages }).then(
      () => report({ id }),
      (error: unknown) => report({ id, fault: faultOf(error) }),
    );
  });
  report({ id: 0 });
} catch (error) {
  report({ id: 0, fault: isMissing(error) ? { code: 'missing_package', message: 'it is missing' } : faultOf(error) });
}
