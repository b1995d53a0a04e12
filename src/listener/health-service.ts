import type { CallReceiver, GrpcCall } from './grpc-call.ts';
import { GRPC_STATUS } from './grpc-status.ts';
import { defineMessage, text, textOf } from './wire-message.ts';
import { readMessage } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/** grpc.health.v1.Health (github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export interface HealthService {
  /** By path. */
  readonly methods: ReadonlyMap<string, CallReceiver>;
  readonly setServing: (serving: boolean) => void;
  /** Ends every watch, so that connections can close. */
  close(): void;
}

type ServingStatus = keyof typeof SERVING_STATUS;
const SERVING_STATUS = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;

/** Starts as not serving. `services` are the names it answers for beside the empty one, which means the server. */
export function createHealthService({ services }: { readonly services: readonly string[] }): HealthService {
  const known = new Set(['', ...services]);
  const watchers = new Set<GrpcCall>();
  let current: ServingStatus = 'notServing';

  function check(call: GrpcCall, message: Buffer): void {
    const service = parseService(message);
    if (service === undefined) refuse(call);
    else if (!known.has(service)) call.refuse(GRPC_STATUS.notFound, 'unknown service');
    else call.answer(encodeStatus(current));
  }

  function watch(call: GrpcCall, message: Buffer): void {
    const service = parseService(message);
    if (watchers.size >= MAX_WATCHERS) {
      call.refuse(GRPC_STATUS.resourceExhausted, 'too many watches');
      return;
    }
    call.unlimit();
    if (service === undefined || !known.has(service)) {
      // It is told once and never of a change: there is nothing to change to.
      call.send(encodeStatus('serviceUnknown'));
      return;
    }
    watchers.add(call);
    call.onClose(() => watchers.delete(call));
    call.send(encodeStatus(current));
  }

  return {
    methods: new Map([
      ['/grpc.health.v1.Health/Check', { message: check, fault: refuse }],
      ['/grpc.health.v1.Health/Watch', { message: watch, fault: refuse }],
    ]),
    setServing(serving) {
      const next = serving ? 'serving' : 'notServing';
      if (next === current) return;
      current = next;
      for (const call of watchers) call.send(encodeStatus(current));
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

function refuse(call: GrpcCall): void {
  call.refuse(GRPC_STATUS.invalidArgument, 'malformed HealthCheckRequest');
}

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
