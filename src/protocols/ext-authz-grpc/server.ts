import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Authorize, StartTimer } from '../../decision/ports.ts';
import { type ListenAddress, parseListenAddress } from '../../listener/address.ts';
import { CALLERS, type Caller, createCallerCertificate, createCallerCheck } from '../../listener/caller.ts';
import { type Connections, trackConnections } from '../../listener/connections.ts';
import { createInFlight } from '../../listener/in-flight.ts';
import { listen } from '../../listener/listen.ts';
import { createTls, type Tls } from '../../listener/tls.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { AUTHORIZATION_SERVICE, CHECK_PATH, createCheckService } from './check-service.ts';
import type { ExtAuthzGrpcConfig } from './config.ts';
import type { CallReceiver } from './grpc-call.ts';
import { createGrpcSessions } from './grpc-sessions.ts';
import { createHealthService } from './health-service.ts';
import { DOOR } from './to-access-request.ts';

export interface ExtAuthzGrpcDoorPorts {
  readonly authorize: Authorize;
  readonly config: ExtAuthzGrpcConfig;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'limited'>;
  /** How long checks under way may still finish at `stop`, in milliseconds. */
  readonly graceMs: number;
  /** How often the certificate files are looked at, in milliseconds. */
  readonly tlsPollMs?: number;
}

/** Envoy's ext_authz over gRPC, and grpc.health.v1 beside it; nothing else is served on its listener. */
export interface ExtAuthzGrpcDoor {
  start(): Promise<{ readonly address: ListenAddress }>;
  /** Stops accepting, lets checks under way finish for `graceMs`, cuts what is left. */
  stop(): Promise<void>;
  /** What the health service says; it starts as not serving. */
  setServing(serving: boolean): void;
}

export function createExtAuthzGrpcDoor(ports: ExtAuthzGrpcDoorPorts): ExtAuthzGrpcDoor {
  const { authorize, config, startTimer, logger, graceMs, tlsPollMs } = ports;
  const health = createHealthService({ services: [AUTHORIZATION_SERVICE] });
  const callerOf = createCallerCheck(config);
  const certificateOf = createCallerCertificate(config);
  const tls: Tls | undefined =
    config.tls &&
    createTls({
      files: config.tls,
      startTimer,
      report: (event) => logger.info({ door: DOOR, ...event }, 'the certificate files changed'),
      ...(tlsPollMs === undefined ? {} : { pollMs: tlsPollMs }),
    });
  const sessions = createGrpcSessions({
    startTimer,
    maxMessageBytes: config.max_message_bytes,
    maxConcurrentCalls: config.max_in_flight * 2,
  });
  const inFlight = createInFlight(config.max_in_flight);
  const methodsOf = new Map(CALLERS.map((caller) => [caller, methodsFor(caller)]));
  let running: { readonly server: NetServer; readonly connections: Connections } | undefined;

  function methodsFor(caller: Caller, certificate?: string): ReadonlyMap<string, CallReceiver> {
    const check = createCheckService({ authorize, logger, inFlight }, caller, certificate);
    return new Map([...health.methods, [CHECK_PATH, check]]);
  }

  function accept(socket: Socket): void {
    const caller = callerOf(socket);
    const certificate = certificateOf(socket);
    if (caller === 'refused') {
      logger.limited(
        'caller_refused',
        'warn',
        { door: DOOR },
        'a caller is none of `allowed_callers`: all it asks is denied',
      );
    }
    // INVARIANT: whose calls they are is known by the connection, and by nothing that is sent on it.
    const methods = certificate === undefined ? methodsOf.get(caller) : methodsFor(caller, certificate);
    sessions.accept(socket, methods ?? NO_METHODS);
  }

  function createSocketServer(): NetServer {
    if (tls === undefined) return createServer(SOCKET_OPTIONS, accept);
    tls.start();
    const server = createTlsServer({ ...SOCKET_OPTIONS, ...tls.serverOptions(), ...TLS_OPTIONS }, accept);
    server.on('tlsClientError', (error) => {
      logger.limited('tls_handshake', 'warn', { err: error, door: DOOR }, 'a TLS handshake failed');
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

const NO_METHODS: ReadonlyMap<string, CallReceiver> = new Map();
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true };
const TLS_OPTIONS = { ALPNProtocols: ['h2'], handshakeTimeout: 10_000 };
