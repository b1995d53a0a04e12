import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import { rawMethod } from './raw-method.ts';
import { defineMessage, text, textOf } from './wire-message.ts';
import { readMessage } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/** grpc.health.v1.Health (github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export interface HealthService {
  readonly methods: { readonly check: typeof CHECK; readonly watch: typeof WATCH };
  readonly calls: {
    readonly check: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => void;
    readonly watch: (call: ServerWritableStream<Buffer, Buffer>) => void;
  };
  readonly setServing: (serving: boolean) => void;
  /** Ends every watch, so that connections can close. */
  close(): void;
}

const CHECK = rawMethod('/grpc.health.v1.Health/Check', { responseStream: false });
const WATCH = rawMethod('/grpc.health.v1.Health/Watch', { responseStream: true });

type ServingStatus = keyof typeof SERVING_STATUS;
const SERVING_STATUS = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;

/** Starts as not serving. `services` are the names it answers for beside the empty one, which means the server. */
export function createHealthService({ services }: { readonly services: readonly string[] }): HealthService {
  const known = new Set(['', ...services]);
  const watchers = new Set<ServerWritableStream<Buffer, Buffer>>();
  let current: ServingStatus = 'notServing';

  return {
    methods: { check: CHECK, watch: WATCH },
    calls: {
      check(call, answer) {
        const service = parseService(call.request);
        if (service === undefined) answer({ code: status.INVALID_ARGUMENT, details: 'malformed HealthCheckRequest' });
        else if (!known.has(service)) answer({ code: status.NOT_FOUND, details: 'unknown service' });
        else answer(null, encodeStatus(current));
      },
      watch(call) {
        const service = parseService(call.request);
        if (watchers.size >= MAX_WATCHERS) {
          call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'too many watches' });
          return;
        }
        watchers.add(call);
        call.once('cancelled', () => watchers.delete(call));
        call.once('close', () => watchers.delete(call));
        if (service !== undefined && known.has(service)) {
          call.write(encodeStatus(current));
        } else {
          // It is told once and never of a change: there is nothing to change to.
          watchers.delete(call);
          call.write(encodeStatus('serviceUnknown'));
        }
      },
    },
    setServing(serving) {
      const next = serving ? 'serving' : 'notServing';
      if (next === current) return;
      current = next;
      for (const call of watchers) call.write(encodeStatus(current));
    },
    close() {
      for (const call of watchers) call.end();
      watchers.clear();
    },
  };
}

const MAX_WATCHERS = 1000;
const HealthCheckRequest = defineMessage('HealthCheckRequest', { service: text(1) });
const STATUS_FIELD = 1;

function parseService(bytes: Buffer): string | undefined {
  try {
    return textOf(readMessage(bytes, HealthCheckRequest.table), HealthCheckRequest.fields.service);
  } catch {
    return undefined;
  }
}

function encodeStatus(serving: ServingStatus): Buffer {
  const writer = new WireWriter();
  writer.uint32(STATUS_FIELD, SERVING_STATUS[serving]);
  return writer.finish();
}
