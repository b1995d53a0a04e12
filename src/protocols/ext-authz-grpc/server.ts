import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type ConnectionInjector, logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import type { Authorize, StartTimer } from '../../decision/ports.ts';
import { type ListenAddress, parseListenAddress } from '../../listener/address.ts';
import { type Caller, createCallerCheck } from '../../listener/caller.ts';
import { type Connections, trackConnections } from '../../listener/connections.ts';
import { createInFlight } from '../../listener/in-flight.ts';
import { listen } from '../../listener/listen.ts';
import { createTls, type Tls } from '../../listener/tls.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { AUTHORIZATION_SERVICE, CHECK_METHOD, createCheckService } from './check-service.ts';
import type { ExtAuthzGrpcConfig } from './config.ts';
import { denyInsteadOfError } from './deny-instead-of-error.ts';
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
  const checks = createCheckService({ authorize, logger, inFlight: createInFlight(config.max_in_flight) });
  const health = createHealthService({ services: [AUTHORIZATION_SERVICE] });
  const callerOf = createCallerCheck(config);
  const tls: Tls | undefined =
    config.tls &&
    createTls({
      files: config.tls,
      startTimer,
      report: (event) => logger.info({ door: DOOR, ...event }, 'the certificate files changed'),
      ...(tlsPollMs === undefined ? {} : { pollMs: tlsPollMs }),
    });
  // A gRPC server for each kind of caller: a call knows its caller by the server that it reached, and by nothing else.
  const injectors = new Map<Caller, ConnectionInjector>();
  let running: { readonly server: NetServer; readonly connections: Connections } | undefined;

  function createInjector(caller: Caller): ConnectionInjector {
    const server = new Server({
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': config.max_message_bytes,
      'grpc.max_concurrent_streams': config.max_in_flight * 2,
      interceptors: [denyInsteadOfError({ path: CHECK_METHOD.path, deny: checks.denyStatus })],
    });
    if (caller !== 'refused') allowCancelledChecks(server);
    server.addService({ check: CHECK_METHOD }, { check: checks.callsOf(caller) });
    server.addService(health.methods, health.calls);
    return server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  function accept(socket: Socket): void {
    const caller = callerOf(socket);
    if (caller === 'refused') {
      logger.limited(
        'caller_refused',
        'warn',
        { door: DOOR },
        'a caller is none of `allowed_callers`: all it asks is denied',
      );
    }
    injectors.get(caller)?.injectConnection(socket);
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
      // It writes to stderr itself, blocking, and quotes metadata that it cannot read: a client's, where tracing is on.
      setLogVerbosity(logVerbosity.NONE);
      for (const caller of CALLERS) injectors.set(caller, createInjector(caller));
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
      const closeIdle = (): void => {
        for (const injector of injectors.values()) injector.drain(graceMs);
      };
      await running?.connections.drain({ startTimer, graceMs, closeIdle });
      running = undefined;
      for (const injector of injectors.values()) injector.destroy();
      injectors.clear();
    },
    setServing: health.setServing,
  };
}

const CALLERS: readonly Caller[] = ['believed', 'unbelieved', 'refused'];
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true };
const TLS_OPTIONS = { ALPNProtocols: ['h2'], handshakeTimeout: 10_000 };

/**
 * Node ends an HTTP/2 connection after 1,000 streams that were reset faster than 33 a second, and with it every other
 * check on it as an error. A gateway resets a check whenever its client hangs up, so any client could bring that
 * about; how much work that causes is bounded by `max_in_flight`. grpc-js has no option for it, only this member; a
 * test counts the resets.
 */
function allowCancelledChecks(server: Server): void {
  Object.assign(server['commonServerOptions'], { streamResetBurst: 1_000_000, streamResetRate: 100_000 });
}
