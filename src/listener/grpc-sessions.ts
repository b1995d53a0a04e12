import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { StartTimer } from '../decision/ports.ts';
import { createDeadlines } from './deadlines.ts';
import { type CallLimits, type CallReceiver, GrpcCall } from './grpc-call.ts';
import { GRPC_STATUS } from './grpc-status.ts';
import { renewStreamTable } from './grpc-streams.ts';

/** The HTTP/2 sessions of a gRPC listener. */
export interface GrpcSessions {
  /** Speaks gRPC on an accepted socket; its calls go to these receivers, by path. */
  accept(socket: Socket, methods: ReadonlyMap<string, CallReceiver>): void;
  /** Takes no more calls on any session; each ends with its last call. */
  close(): void;
}

export interface GrpcSessionsOptions extends Omit<CallLimits, 'deadlines'> {
  readonly startTimer: StartTimer;
  /** For each session. */
  readonly maxConcurrentCalls: number;
}

export function createGrpcSessions({ maxConcurrentCalls, startTimer, ...parts }: GrpcSessionsOptions): GrpcSessions {
  const open = new Set<ServerHttp2Session>();
  const deadlines = createDeadlines<GrpcCall>(startTimer, (call) => call.late());
  const limits: CallLimits = { ...parts, deadlines };
  return {
    accept(socket, methods) {
      const session = performServerHandshake(socket, {
        ...SESSION_OPTIONS,
        settings: { maxConcurrentStreams: maxConcurrentCalls },
      });
      renewStreamTable(session);
      open.add(session);
      session.on('close', () => open.delete(session));
      // A session that fails takes its socket with it; what it carried is answered by nobody.
      session.on('error', () => undefined);
      session.on('stream', (stream, headers) => {
        const receiver = methods.get(headers[':path'] ?? '') ?? UNIMPLEMENTED;
        new GrpcCall(stream, headers, receiver, limits);
      });
    },
    close() {
      for (const session of open) session.close();
      deadlines.close();
    },
  };
}

/**
 * Node ends a session after 1,000 streams that were reset faster than 33 a second, and with it every other check on it
 * as an error. A gateway resets a check whenever its client hangs up, so any client could bring that about; how much
 * work that causes is bounded by `max_in_flight`. For the same reason the memory of a session is not what bounds it:
 * Node would refuse further checks, each an error.
 */
const SESSION_OPTIONS = {
  streamResetBurst: 1_000_000,
  streamResetRate: 100_000,
  maxSessionMemory: Number.MAX_SAFE_INTEGER,
};

const UNIMPLEMENTED: CallReceiver = { message: refuse, fault: refuse };

function refuse(call: GrpcCall): void {
  call.refuse(GRPC_STATUS.unimplemented, 'not served here');
}
