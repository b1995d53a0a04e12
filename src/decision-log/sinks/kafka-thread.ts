import { Worker } from 'node:worker_threads';
import type { ClientFault, KafkaRecord, ProducerSettings, SendOrder, SendReport } from './kafka-messages.ts';

/** The Kafka client in a thread of its own: it compresses there, and needs an `Object.prototype` that is not frozen. */
export interface KafkaThread {
  /** Resolves once the client is loaded, with the fault where it cannot be. Connects to nothing. */
  ready(): Promise<ClientFault | undefined>;
  /** Resolves once all replicas in sync have the records, or with why not. Rejects when the thread is gone. */
  send(records: readonly KafkaRecord[]): Promise<ClientFault | undefined>;
  end(): Promise<void>;
}

export function createKafkaThread(settings: ProducerSettings, file: URL = WORKER): KafkaThread {
  const worker = new Worker(file, {
    workerData: settings,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
    // What it prints is nobody's log line.
    stdout: true,
    stderr: true,
  });
  worker.unref();
  // Piped streams that nobody reads would fill up.
  worker.stdout.resume();
  worker.stderr.resume();
  const waiting = new Map<number, PromiseWithResolvers<ClientFault | undefined>>();
  let gone: Error | undefined;
  let last = 0;

  const expect = (id: number): Promise<ClientFault | undefined> => {
    const answer = Promise.withResolvers<ClientFault | undefined>();
    waiting.set(id, answer);
    // It may be rejected when nobody waits for it any more.
    answer.promise.catch(() => undefined);
    return answer.promise;
  };
  const end = (error: Error): void => {
    gone ??= error;
    for (const { reject } of waiting.values()) reject(gone);
    waiting.clear();
  };
  worker.on('message', (report: SendReport) => {
    waiting.get(report.id)?.resolve(report.fault);
    waiting.delete(report.id);
  });
  worker.on('error', () => end(new Error('the thread of the client failed')));
  worker.on('exit', () => end(new Error('the thread of the client ended')));
  const started = expect(0);

  return {
    ready: () => started,
    send: async (records) => {
      const startFault = await started;
      if (startFault !== undefined) return startFault;
      if (gone !== undefined) throw gone;
      last += 1;
      const answer = expect(last);
      worker.postMessage({ id: last, records } satisfies SendOrder);
      return answer;
    },
    end: async () => {
      end(new Error('the thread of the client was ended'));
      await worker.terminate();
    },
  };
}

const MEMORY_MB = 256;
/** Beside this file, compiled or not. */
const WORKER = new URL(`./kafka-worker${import.meta.url.slice(-3)}`, import.meta.url);
