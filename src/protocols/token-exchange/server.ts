import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { StartTimer } from '../../decision/ports.ts';
import { type ListenAddress, parseListenAddress } from '../../listener/address.ts';
import { trackConnections } from '../../listener/connections.ts';
import { createInFlight } from '../../listener/in-flight.ts';
import { listen } from '../../listener/listen.ts';
import { createAddressBound } from './address-bound.ts';
import {
  type Exchanged,
  fromExchange,
  keySetAnswer,
  plainAnswer,
  type TokenAnswer,
  tokenError,
  UNAVAILABLE,
} from './from-exchange.ts';
import { readBody } from './read-body.ts';
import { type PresentedKey, toTokenRequest } from './to-token-request.ts';

export interface TokenExchangeDoorPorts {
  /** A loopback address or a unix socket: TLS is the gateway's in front of it. */
  readonly listen: string;
  /** Verifies the key and makes the token; the address is that of the connection, absent on a unix socket. */
  readonly exchange: (presented: PresentedKey, address: string | undefined) => Promise<Exchanged>;
  /** What the tokens are verified with. */
  readonly keySet: () => { readonly keys: readonly unknown[] };
  readonly startTimer: StartTimer;
  /** A bug met on the way of one request (answered 503), for the operational log. */
  readonly onFault?: (cause: unknown) => void;
}

export interface TokenExchangeDoor {
  start(): Promise<{ readonly address: ListenAddress }>;
  /** Stops accepting, lets requests under way finish and cuts what is left after a second. */
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 8192;
const BODY_WITHIN_MS = 5000;
const GRACE_MS = 1000;
const MAX_IN_FLIGHT = 256;
const MAX_IN_FLIGHT_PER_ADDRESS = 16;

const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: 16 * 1024,
  insecureHTTPParser: false,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 5000,
};

/** `POST /token` (RFC 6749 §4.4) and `GET /.well-known/jwks.json` on a listener of their own. */
export function createTokenExchangeDoor(ports: TokenExchangeDoorPorts): TokenExchangeDoor {
  const { listen: listenOn, exchange, keySet, startTimer, onFault = ignore } = ports;
  const inFlight = createInFlight(MAX_IN_FLIGHT);
  const perAddress = createAddressBound(MAX_IN_FLIGHT_PER_ADDRESS);

  async function answerToken(request: IncomingMessage): Promise<TokenAnswer> {
    const { headersDistinct: headers, socket } = request;
    if (Number(headers['content-length']?.[0] ?? 0) > MAX_BODY_BYTES) return plainAnswer(413);
    const limits = { maxBytes: MAX_BODY_BYTES, withinMs: BODY_WITHIN_MS, startTimer };
    const body = await readBody(request, limits);
    if (body === undefined) return plainAnswer(413);
    const asked = toTokenRequest({
      contentTypes: headers['content-type'] ?? [],
      authorizations: headers['authorization'] ?? [],
      apiKeys: headers['x-api-key'] ?? [],
      body,
    });
    return typeof asked === 'string' ? tokenError(asked) : fromExchange(await exchange(asked, socket.remoteAddress));
  }

  async function answerBounded(request: IncomingMessage): Promise<TokenAnswer> {
    const address = request.socket.remoteAddress ?? '';
    if (!perAddress.tryEnter(address)) return UNAVAILABLE;
    try {
      if (!inFlight.tryEnter()) return UNAVAILABLE;
      try {
        return await answerToken(request);
      } finally {
        inFlight.leave();
      }
    } finally {
      perAddress.leave(address);
    }
  }

  /** Targets are matched byte for byte: a query is none of them, so that no secret is taken from one (§2.3.1). */
  function answer(request: IncomingMessage): TokenAnswer | Promise<TokenAnswer> {
    const { method, url } = request;
    if (url === '/token') return method === 'POST' ? answerBounded(request) : plainAnswer(405, { allow: 'POST' });
    if (url !== '/.well-known/jwks.json') return plainAnswer(404);
    return method === 'GET' || method === 'HEAD' ? keySetAnswer(keySet()) : plainAnswer(405, { allow: 'GET, HEAD' });
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let wire: TokenAnswer;
    try {
      wire = await answer(request);
    } catch (cause) {
      onFault(cause);
      wire = UNAVAILABLE;
    }
    const body = Buffer.from(wire.body);
    response.writeHead(wire.status, {
      ...wire.headers,
      'content-length': body.length,
      // A body that was not read to its end must not be taken for the next request.
      ...(request.complete ? {} : { connection: 'close' }),
    });
    response.end(body);
  }

  const server: Server = createServer(HTTP_OPTIONS);
  // A header too many would be dropped in silence; the size limit bounds them.
  server.maxHeadersCount = 0;
  const connections = trackConnections(server);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response).catch((cause: unknown) => {
      onFault(cause);
      response.destroy();
    });
  });

  return {
    async start() {
      return { address: await listen(server, parseListenAddress(listenOn)) };
    },
    async stop() {
      await connections.drain({ startTimer, graceMs: GRACE_MS, closeIdle: () => server.closeIdleConnections() });
    },
  };
}

function ignore(): void {}
