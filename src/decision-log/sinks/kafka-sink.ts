import { setImmediate as nextTurn } from 'node:timers/promises';
import { type RemoteSink, SinkFault } from '../sink.ts';
import type { KafkaSinkConfig } from './config-types.ts';
import { formatEvent } from './format.ts';
import type { KafkaRecord, ProducerSettings } from './kafka-messages.ts';
import { createKafkaThread, type KafkaThread } from './kafka-thread.ts';
import { readEvent } from './logged-event.ts';
import type { RemoteSinkParts } from './remote-sinks.ts';
import { readSecret, readTls } from './secrets.ts';

/**
 * Writes events to a topic, confirmed by all replicas in sync. The key is the instance, so that the events of one process
 * stay in order; what is sent again after a fault may be there twice, and is told by `instance_id` and `sequence`.
 */
export function createKafkaSink(
  config: KafkaSinkConfig,
  { startTimer }: RemoteSinkParts,
  createThread: (settings: ProducerSettings) => KafkaThread = (settings) => createKafkaThread(settings),
): RemoteSink {
  const { name, batch, format, timeout_ms: timeoutMs } = config;
  let thread: KafkaThread | undefined;
  let most = batch.max_events;

  const currentThread = async (): Promise<KafkaThread> => {
    thread ??= createThread(await settingsOf(config));
    return thread;
  };
  /** The next write starts anew, with files read again: nothing is known any more of what this client has under way. */
  const dropThread = async (): Promise<void> => {
    const former = thread;
    thread = undefined;
    await former?.end();
  };
  const sendInTime = async (records: readonly KafkaRecord[], signal?: AbortSignal): Promise<void> => {
    const current = await currentThread();
    const late = Promise.withResolvers<never>();
    const stopTimer = startTimer(timeoutMs, () => late.reject(new Error(`took longer than ${timeoutMs} ms`)));
    const abort = (): void => late.reject(new Error('was given up'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      signal?.throwIfAborted();
      const fault = await Promise.race([current.send(records), late.promise]);
      if (fault !== undefined) throw new KafkaFault(fault.message, fault.code);
    } catch (error) {
      if (!isTooLarge(error)) await dropThread();
      throw error;
    } finally {
      stopTimer();
      signal?.removeEventListener('abort', abort);
    }
  };

  return {
    name,
    remote: true,
    maxBatch: { events: batch.max_events, bytes: batch.max_bytes },
    open: async () => {
      const fault = await (await currentThread()).ready();
      if (fault === undefined) return;
      await dropThread();
      throw new Error(fault.code === MISSING ? INSTALL : `the kafka sink cannot start: ${fault.message}`);
    },
    write: async (lines, signal) => {
      const refused: number[] = [];
      const delivered: number[] = [];
      let left: (KafkaRecord & { readonly position: number })[] = [];
      for (const [position, line] of lines.entries()) {
        // A few at a time: requests are answered in between.
        if (position > 0 && position % AT_ONCE === 0) await nextTurn();
        const event = readEvent(line);
        if (event === undefined) refused.push(position);
        else left.push({ position, key: event.instance_id, value: formatEvent(format, event, line) });
      }
      while (left.length > 0) {
        const chunk = left.slice(0, most);
        try {
          await sendInTime(
            chunk.map(({ key, value }) => ({ key, value })),
            signal,
          );
          delivered.push(...chunk.map(({ position }) => position));
        } catch (cause) {
          if (!isTooLarge(cause)) {
            throw new SinkFault(`kafka topic \`${config.topic}\`: ${messageOf(cause)}${remedyOf(cause)}`, {
              kind: 'retry',
              ...{ refused, delivered, cause },
            });
          }
          if (chunk.length > 1) {
            most = Math.floor(chunk.length / 2);
            continue;
          }
          refused.push(...chunk.map(({ position }) => position));
        }
        left = left.slice(chunk.length);
      }
      if (refused.length === 0) return;
      const message = `kafka topic \`${config.topic}\` never takes ${refused.length} events: too large, or no events`;
      throw new SinkFault(message, { kind: 'retry', refused, delivered });
    },
    reopen: async () => {
      most = batch.max_events;
      await dropThread();
    },
    close: dropThread,
  };
}

/** The install command names the version that this one is tested with. */
const INSTALL = 'the kafka sink needs the package `@platformatic/kafka`: run `npm install @platformatic/kafka@2.12.1`';
const MISSING = 'missing_package';
const AT_ONCE = 20;

/** What the brokers or the client said. */
class KafkaFault extends Error {
  override readonly name = 'KafkaFault';
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof KafkaFault && (error.code === 'MESSAGE_TOO_LARGE' || error.code === 'RECORD_LIST_TOO_LARGE');
}

function remedyOf(error: unknown): string {
  if (!(error instanceof KafkaFault)) return '';
  if (error.code === 'UNKNOWN_TOPIC_OR_PARTITION') return ': create the topic';
  return /AUTHENTICATION/.test(error.message) ? ': check `sasl`' : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'failed';
}

async function settingsOf(config: KafkaSinkConfig): Promise<ProducerSettings> {
  const { brokers, topic, idempotent, compression, timeout_ms: timeoutMs, tls, sasl } = config;
  return {
    ...{ brokers, topic, idempotent, compression, timeoutMs },
    ...(tls === undefined ? {} : { tls: await readTls(tls) }),
    ...(sasl === undefined
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism,
            username: sasl.username,
            password: sasl.password ?? (await readSecret(sasl.password_file ?? '')),
          },
        }),
  };
}
