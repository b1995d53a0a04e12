import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { type CoreCode, RequestFault } from '../../decision/errors.ts';
import type { Authorize, Clock, Outcome, StartTimer } from '../../decision/ports.ts';
import { type ListenAddress, parseListenAddress } from '../../listener/address.ts';
import { createCallerCertificate, createCallerCheck } from '../../listener/caller.ts';
import { trackConnections } from '../../listener/connections.ts';
import { createInFlight } from '../../listener/in-flight.ts';
import { listen } from '../../listener/listen.ts';
import { createTls, type TlsReload } from '../../listener/tls.ts';
import { contextOf } from '../../listener/tls-material.ts';
import { hasBody, isDeclaredTooLarge, readBody } from './check-body.ts';
import type { ExtAuthzHttpConfig } from './config.ts';
import { faultAnswer, toWireAnswer, type WireAnswer } from './from-decision.ts';
import { writeRawAnswer } from './raw-answer.ts';
import { readRawHeaders } from './raw-headers.ts';
import { callerDeadlineMs, DOOR, toAccessRequest } from './to-access-request.ts';

export interface ExtAuthzHttpPorts {
  readonly config: ExtAuthzHttpConfig;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** A bug met on the way of one check (answered 403), for the operational log. */
  readonly onFault?: (cause: unknown) => void;
  readonly onTlsReload?: (event: TlsReload) => void;
  /** How long checks under way and busy connections get at `stop`, in milliseconds. */
  readonly graceMs?: number;
}

export interface ExtAuthzHttpDoor {
  start(): Promise<{ readonly address: ListenAddress }>;
  /** While it is not serving every answer ends its connection, so that gateways go elsewhere. */
  setServing(serving: boolean): void;
  /** Stops accepting, lets checks under way finish and cuts what is left after the grace. */
  stop(): Promise<void>;
}

/** Answers leave at this part of the caller's deadline: its own timer would be an error, not a denial. */
const DEADLINE_SHARE = 0.8;
/** How long the rest of a body that is not wanted may take before the connection is cut, in milliseconds. */
const LINGER_MS = 1000;
const GRACE_MS = 5000;

const HTTP_OPTIONS: ServerOptions = {
  // Envoy lets 60 KiB of request headers through and adds its own.
  maxHeaderSize: 96 * 1024,
  insecureHTTPParser: false,
  // A missing Host is denied and recorded like everything else.
  requireHostHeader: false,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1000,
  // Longer than Envoy keeps an idle connection (1 h): whoever closes first must not race with a check on its way.
  keepAliveTimeout: 3_900_000,
};

/** Envoy's ext_authz HTTP service on a listener of its own. */
export function createExtAuthzHttpDoor(ports: ExtAuthzHttpPorts): ExtAuthzHttpDoor {
  const { config, authorize, clock, startTimer, onFault = ignore, onTlsReload, graceMs = GRACE_MS } = ports;
  const upstreamHeaders: ReadonlySet<string> = new Set(config.upstream_headers);
  const capabilities = { queryChanges: false, upstreamHeaders };
  const inFlight = createInFlight(config.max_in_flight);
  const judgeCaller = createCallerCheck(config);
  const certificateOf = createCallerCertificate(config);
  const tls =
    config.tls &&
    createTls({ files: config.tls, startTimer, ...(onTlsReload === undefined ? {} : { report: onTlsReload }) });
  /** Connections that already got their last, raw answer. */
  const ended = new WeakSet<Duplex>();
  /** Connections whose check is answered while the rest of its body is still to come, and means nothing any more. */
  const answeredEarly = new WeakSet<Duplex>();
  let draining = false;

  /** `undefined`: the check turned out to be no HTTP after its head, and was denied and recorded as that. */
  async function decide(
    request: IncomingMessage,
    response: ServerResponse,
    expects: Expectation,
  ): Promise<Outcome | undefined> {
    const arrivedMs = clock.now().monotonicMs;
    if (judgeCaller(request.socket) === 'refused') {
      throw new RequestFault('invalid_credential', 'the certificate of the caller is not among `allowed_callers`');
    }
    if (expects === 'unknown') throw new RequestFault('malformed_request', 'an expectation other than `100-continue`');
    const headers = readRawHeaders(request.rawHeaders);
    const dueMs = arrivedMs + DEADLINE_SHARE * callerDeadlineMs(headers, config.deadline_ms);
    let body: Uint8Array = NO_BODY;
    if (hasBody(headers)) {
      if (isDeclaredTooLarge(headers, config.max_body_bytes)) throw bodyFault('too_large');
      if (expects === 'continue') response.writeContinue();
      const withinMs = Math.max(0, dueMs - clock.now().monotonicMs);
      const read = await readBody(request, { maxBytes: config.max_body_bytes, withinMs, startTimer });
      if (ended.has(request.socket)) return undefined;
      if (typeof read === 'string') throw bodyFault(read);
      body = read;
    }
    const deadlineMs = dueMs - clock.now().monotonicMs;
    if (deadlineMs <= 0) throw bodyFault('late');
    const check = { method: request.method ?? '', target: request.url ?? '', headers, body };
    const callerCertificate = certificateOf(request.socket);
    const context = { pathPrefix: config.path_prefix, capabilities, deadlineMs, callerCertificate };
    return await authorize(toAccessRequest(check, context));
  }

  async function answer(request: IncomingMessage, response: ServerResponse, expects: Expectation): Promise<void> {
    let wire: WireAnswer;
    if (inFlight.tryEnter()) {
      try {
        const outcome = await decide(request, response, expects).catch(denied);
        if (outcome === undefined) {
          response.destroy();
          return;
        }
        wire = toWireAnswer(outcome.decision, outcome.decisionId, upstreamHeaders);
      } catch (cause) {
        onFault(cause);
        wire = faultAnswer();
      } finally {
        inFlight.leave();
      }
    } else {
      wire = await denyUnread('overloaded', `${config.max_in_flight} checks are under way`);
    }
    send(request, response, wire);
  }

  /** What is known to be wrong with a check is decided, and so recorded, by the core. */
  async function denied(error: unknown): Promise<Outcome> {
    if (!(error instanceof RequestFault)) throw error;
    return authorize({ door: DOOR, unreadable: { code: error.code, cause: error.message } });
  }

  async function denyUnread(code: CoreCode, cause: string): Promise<WireAnswer> {
    try {
      const outcome = await authorize({ door: DOOR, unreadable: { code, cause } });
      return toWireAnswer(outcome.decision, outcome.decisionId, NO_HEADERS);
    } catch (error) {
      onFault(error);
      return faultAnswer();
    }
  }

  function send(request: IncomingMessage, response: ServerResponse, wire: WireAnswer): void {
    if (ended.has(request.socket)) {
      response.destroy();
      return;
    }
    try {
      write(request, response, wire);
    } catch (cause) {
      onFault(cause);
      if (response.headersSent) response.destroy();
      else write(request, response, faultAnswer());
    }
    if (!request.complete) cutLater(request);
  }

  function write(request: IncomingMessage, response: ServerResponse, wire: WireAnswer): void {
    response.sendDate = false;
    let headers = wire.headers;
    if (draining) headers = headers.concat('connection', 'close');
    // HTTP/1.1 keeps connections alive without saying so; to say it would leak to the client through Envoy.
    else if (request.httpVersionMinor === 1) response.removeHeader('connection');
    // Node does not change the list; its type just does not say so.
    response.writeHead(wire.status, headers as string[]);
    // As bytes: Node would write header and body of a text in one encoding, the body's.
    response.end(wire.body);
  }

  /** Closing at once would reset the connection, and a reset may overtake the answer. */
  function cutLater(request: IncomingMessage): void {
    answeredEarly.add(request.socket);
    request.resume();
    const cancel = startTimer(LINGER_MS, () => request.socket.destroy());
    request.once('end', () => {
      answeredEarly.delete(request.socket);
      cancel();
    });
    request.once('close', cancel);
  }

  function answerRaw(socket: Duplex, cause: string): void {
    if (ended.has(socket)) return;
    ended.add(socket);
    socket.on('error', () => socket.destroy());
    denyUnread('malformed_request', cause).then((wire) => writeRawAnswer(socket, wire), onFault);
  }

  const server: Server =
    tls === undefined ? createServer(HTTP_OPTIONS) : createTlsServer({ ...HTTP_OPTIONS, ...tls.clientPolicy });
  // A header too many would be dropped in silence; the size limit bounds them.
  server.maxHeadersCount = 0;
  const connections = trackConnections(server);
  const serve = (expects: Expectation) => (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response, expects).catch((cause: unknown) => {
      onFault(cause);
      response.destroy();
    });
  };
  server.on('request', serve('nothing'));
  server.on('checkContinue', serve('continue'));
  server.on('checkExpectation', serve('unknown'));
  // Without a listener Node would cut the connection, which is an error to Envoy.
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => answerRaw(socket, 'CONNECT has no path'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const isUsed = !('bytesRead' in socket) || socket.bytesRead !== 0;
    const isOpen = socket.writable && isUsed && !answeredEarly.has(socket);
    if (isOpen && isAnswerable(error)) answerRaw(socket, `not HTTP: ${error.code}`);
    else socket.destroy();
  });

  return {
    async start() {
      if (tls !== undefined) {
        tls.start();
        // Only node:https servers have it, and this is one.
        const tlsServer = server as ReturnType<typeof createTlsServer>;
        tlsServer.setSecureContext(contextOf(tls.material()));
        tls.attach(tlsServer);
      }
      return { address: await listen(server, parseListenAddress(config.listen)) };
    },
    setServing(serving) {
      draining = !serving;
    },
    async stop() {
      draining = true;
      tls?.stop();
      await connections.drain({ startTimer, graceMs, closeIdle: () => server.closeIdleConnections() });
    },
  };
}

type Expectation = 'nothing' | 'continue' | 'unknown';

function ignore(): void {}

const NO_BODY = new Uint8Array(0);
const NO_HEADERS: ReadonlySet<string> = new Set();

function bodyFault(why: 'too_large' | 'late' | 'gone'): RequestFault {
  switch (why) {
    case 'too_large':
      return new RequestFault('payload_too_large', 'the body of the check is larger than `max_body_bytes`');
    case 'late':
      return new RequestFault('deadline', 'the check was not whole within its deadline');
    case 'gone':
      return new RequestFault('malformed_request', 'the caller ended the check within its body');
  }
}

/** A parser's complaint or a timeout; after a reset or a failed handshake nobody would read an answer. */
function isAnswerable(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith('HPE_') === true || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
}
