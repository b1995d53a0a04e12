import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { StartTimer } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type ListenAddress, parseListenAddress } from './address.ts';
import { CALLERS, type Caller, createCallerCertificate, createCallerCheck } from './caller.ts';
import type { DoorListenConfig } from './config.ts';
import { type Connections, trackConnections } from './connections.ts';
import type { CallReceiver } from './grpc-call.ts';
import { createGrpcSessions } from './grpc-sessions.ts';
import { createHealthService } from './health-service.ts';
import { createInFlight } from './in-flight.ts';
import { listen } from './listen.ts';
import { createTls, type Tls } from './tls.ts';
import type { MethodParts, ServeMethod } from './unary-method.ts';

export interface GrpcServerPorts {
  /** As logs name the door. */
  readonly door: string;
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, ServeMethod>;
  /** A call with a message longer than `max_message_bytes` is answered unread. */
  readonly config: DoorListenConfig & { readonly max_message_bytes: number };
  /** The share of the caller's time after which the door answers without its method; default 0.9. */
  readonly answeredAt?: number;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'limited'>;
  /** How long calls under way may still finish at `stop`, in milliseconds. */
  readonly graceMs: number;
  /** How often the certificate files are looked at, in milliseconds. */
  readonly tlsPollMs?: number;
}

/** A door's methods over gRPC, and grpc.health.v1 beside them; nothing else is served on its listener. */
export interface GrpcServer {
  start(): Promise<{ readonly address: ListenAddress }>;
  /** Stops accepting, lets calls under way finish for `graceMs`, cuts what is left. */
  stop(): Promise<void>;
  /** What the health service says; it starts as not serving. */
  setServing(serving: boolean): void;
}

export function createGrpcServer(ports: GrpcServerPorts): GrpcServer {
  const { door, methods, config, startTimer, logger, graceMs, tlsPollMs, answeredAt } = ports;
  const health = createHealthService({ services: [...methods.keys()].map(serviceOf) });
  const callerOf = createCallerCheck(config);
  const certificateOf = createCallerCertificate(config);
  const tls: Tls | undefined =
    config.tls &&
    createTls({
      files: config.tls,
      startTimer,
      report: (event) => logger.info({ door, ...event }, 'the certificate files changed'),
      ...(tlsPollMs === undefined ? {} : { pollMs: tlsPollMs }),
    });
  const sessions = createGrpcSessions({
    startTimer,
    maxMessageBytes: config.max_message_bytes,
    ...(answeredAt === undefined ? {} : { answeredAt }),
    maxConcurrentCalls: config.max_in_flight * 2,
  });
  const parts: MethodParts = { door, logger, inFlight: createInFlight(config.max_in_flight) };
  const receiversOf = new Map(CALLERS.map((caller) => [caller, receiversFor(caller)]));
  let running: { readonly server: NetServer; readonly connections: Connections } | undefined;

  function receiversFor(caller: Caller, certificate?: string): ReadonlyMap<string, CallReceiver> {
    const receivers = new Map(health.methods);
    for (const [path, serve] of methods) receivers.set(path, serve(parts, caller, certificate));
    return receivers;
  }

  function accept(socket: Socket): void {
    const caller = callerOf(socket);
    const certificate = certificateOf(socket);
    if (caller === 'refused') {
      logger.limited(
        'caller_refused',
        'warn',
        { door },
        'a caller is none of `allowed_callers`: all it asks is denied',
      );
    }
    // INVARIANT: whose calls they are is known by the connection, and by nothing that is sent on it.
    const receivers = certificate === undefined ? receiversOf.get(caller) : receiversFor(caller, certificate);
    sessions.accept(socket, receivers ?? NO_RECEIVERS);
  }

  function createSocketServer(): NetServer {
    if (tls === undefined) return createServer(SOCKET_OPTIONS, accept);
    tls.start();
    const server = createTlsServer({ ...SOCKET_OPTIONS, ...tls.serverOptions(), ...TLS_OPTIONS }, accept);
    server.on('tlsClientError', (error) => {
      logger.limited('tls_handshake', 'warn', { err: error, door }, 'a TLS handshake failed');
    });
    tls.attach(server);
    return server;
  }

  return {
    async start() {
      const server = createSocketServer();
      const connections = trackConnections(server);
      const address = await listen(server, parseListenAddress(config.listen));
      running = { server, connections };
      return { address };
    },
    async stop() {
      health.setServing(false);
      health.close();
      tls?.stop();
      await running?.connections.drain({ startTimer, graceMs, closeIdle: () => sessions.close() });
      running = undefined;
    },
    setServing: health.setServing,
  };
}

/** The full name of the service that a path is of. */
function serviceOf(path: string): string {
  return path.slice(1, path.lastIndexOf('/'));
}

const NO_RECEIVERS: ReadonlyMap<string, CallReceiver> = new Map();
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true };
const TLS_OPTIONS = { ALPNProtocols: ['h2'], handshakeTimeout: 10_000 };
