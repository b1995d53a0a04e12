import { createServer, type Server } from 'node:http';
import type { NextFunction, Request, Response } from 'express';
import express from 'express';
import type { StartTimer } from '../decision/ports.ts';
import { type ListenAddress, parseListenAddress } from '../listener/address.ts';
import { trackConnections } from '../listener/connections.ts';
import { listen } from '../listener/listen.ts';
import type { OperationsConfig, OperationsRight } from './config.ts';
import { createRights, type OperationsCaller } from './rights.ts';
import { createRolloutRoutes, ROLLOUT_ACTIONS, type RolloutPorts } from './rollout-routes.ts';
import { createUsageRoutes, type UsagePorts } from './usage-routes.ts';

export interface OperationsPorts {
  readonly config: OperationsConfig;
  readonly health: OperationsHealth;
  /** The exposition text of all metrics. */
  readonly metricsText: () => Promise<string>;
  readonly metricsContentType: string;
  /** Absent: there is nothing to settle, and the routes are not there. */
  readonly usage?: UsagePorts;
  /** Absent: the routes of status and rollout are not there. */
  readonly rollout?: RolloutPorts;
  readonly startTimer: StartTimer;
  /** A bug met on the way of one request (answered 500 without detail), for the operational log. */
  readonly onFault?: (cause: unknown) => void;
}

export interface OperationsHealth {
  live(): boolean;
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Whether every configured bundle is active. */
  bundlesReady(): boolean;
}

export interface Operations {
  start(): Promise<{ readonly address: ListenAddress }>;
  stop(): Promise<void>;
}

const GRACE_MS = 1000;

/** Health, metrics, usage, quotas, status and rollouts on a port of their own. */
export function createOperations(ports: OperationsPorts): Operations {
  const { config, startTimer } = ports;
  const options = { headersTimeout: 5000, requestTimeout: 10_000, connectionsCheckingInterval: 1000 };
  const server: Server = createServer(options, createApp(ports));
  const connections = trackConnections(server);
  return {
    start: async () => ({ address: await listen(server, parseListenAddress(config.listen)) }),
    stop: () => connections.drain({ startTimer, graceMs: GRACE_MS, closeIdle: () => server.closeIdleConnections() }),
  };
}

function createApp(ports: OperationsPorts): express.Express {
  const { config, health, metricsText, metricsContentType, usage, rollout, startTimer, onFault } = ports;
  const rights = createRights(config);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use(
    refuseBodies(
      new Set([...(usage === undefined ? [] : BODY_PATHS), ...(rollout === undefined ? [] : ROLLOUT_PATHS)]),
    ),
  );

  /** Health is open to probes from anywhere, except to web pages in a browser on this machine. */
  const open = (request: Request, response: Response, next: NextFunction): void => {
    const caller = callerOf(request);
    if (!rights.isOwn(caller) && (caller.origins.length > 0 || rights.isThisMachine(caller)))
      fail(response, 403, 'not addressed to this service');
    else next();
  };
  const needs = (right: OperationsRight) => (request: Request, response: Response, next: NextFunction) => {
    const judged = rights.judge(callerOf(request), right);
    if (judged === 'granted') return next();
    // A body of a caller without the right is not waited for.
    if (!request.complete) response.set('connection', 'close');
    switch (judged) {
      case 'unauthenticated':
        response.set('www-authenticate', 'Bearer');
        return fail(response, 401, 'a token is required');
      case 'forbidden':
        return fail(response, 403, `the token has no right \`${right}\``);
      case 'foreign':
        return fail(response, 403, 'not addressed to this service');
    }
  };

  app.get('/health/live', open, (_request, response) => {
    if (health.live()) response.json({ status: 'live' });
    else response.status(503).json({ status: 'not live' });
  });
  app.get('/health/ready', open, (request, response) => {
    const { ready, reasons } = health.ready();
    const told = rights.isLocal(callerOf(request)) ? { reasons } : {};
    if (ready) response.json({ status: 'ready' });
    else response.status(503).json({ status: 'not ready', ...told });
  });
  // OPA's health API, which probes written for opa-envoy-plugin call: 200 `{}`, or 500 with `error`.
  app.get('/health', open, (request, response) => {
    const bundles = asks(request.query, 'bundles') || asks(request.query, 'bundle');
    if (!health.live()) fail(response, 500, 'not live');
    else if (bundles && !health.bundlesReady()) fail(response, 500, 'not every bundle is active');
    else if (asks(request.query, 'plugins') && !health.ready().ready) fail(response, 500, 'not ready');
    else response.json({});
  });
  app.get('/metrics', needs('metrics'), async (_request, response) => {
    const text = await metricsText();
    response.set('content-type', metricsContentType).send(text);
  });
  if (usage !== undefined) {
    const routes = createUsageRoutes(usage, startTimer);
    app.post('/v1/usage', needs('usage'), routes.settle);
    app.post('/v1/usage/renew', needs('usage'), routes.renew);
    app.get('/v1/quota', needs('quota'), routes.quota);
    for (const path of BODY_PATHS) app.all(path, needs('usage'), only('POST'));
    app.all('/v1/quota', needs('quota'), only('GET, HEAD'));
  }
  if (rollout !== undefined) {
    const routes = createRolloutRoutes(rollout, startTimer);
    app.get('/v1/status', needs('status'), routes.status);
    app.get('/v1/rollout', needs('status'), routes.rollout);
    for (const action of ROLLOUT_ACTIONS) app.post(`/v1/rollout/${action}`, needs('rollout'), routes.change(action));
    for (const path of ['/v1/status', '/v1/rollout']) app.all(path, needs('status'), only('GET, HEAD'));
    for (const path of ROLLOUT_PATHS) app.all(path, needs('rollout'), only('POST'));
  }
  for (const path of ['/health', '/health/live', '/health/ready']) app.all(path, open, only('GET, HEAD'));
  app.all('/metrics', needs('metrics'), only('GET, HEAD'));
  app.use(needs('metrics'), (_request: Request, response: Response) => fail(response, 404, 'there is nothing here'));
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (isClientError(error)) return fail(response, 400, 'the request is malformed');
    onFault?.(error);
    if (response.headersSent) return next(error);
    return fail(response, 500, 'internal error');
  });
  return app;
}

const BODY_PATHS = ['/v1/usage', '/v1/usage/renew'];
const ROLLOUT_PATHS = ROLLOUT_ACTIONS.map((action) => `/v1/rollout/${action}`);

/** No other request's body is waited for; of these paths it is read once the caller's right is known. */
function refuseBodies(taken: ReadonlySet<string>): express.RequestHandler {
  return (request, response, next) => {
    const { headers, method, path } = request;
    const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
    if (!hasBody) return next();
    if (method === 'POST' && taken.has(path)) return next();
    response.set('connection', 'close');
    return fail(response, 413, 'no body is taken here');
  };
}

function only(methods: string): express.RequestHandler {
  return (_request, response) => {
    response.set('allow', methods);
    fail(response, 405, `only ${methods.split(',')[0]} is served here`);
  };
}

function fail(response: Response, status: number, error: string): void {
  response.status(status).json({ error });
}

function callerOf({ socket, headersDistinct }: Request): OperationsCaller {
  return {
    remoteAddress: socket.remoteAddress,
    localAddress: socket.localAddress,
    hosts: headersDistinct.host ?? [],
    origins: headersDistinct.origin ?? [],
    authorizations: headersDistinct.authorization ?? [],
  };
}

/** `?bundles` and `?bundles=true` ask, `?bundles=false` does not, as in OPA. */
function asks(query: Request['query'], name: string): boolean {
  const value = Object.hasOwn(query, name) ? query[name] : undefined;
  return value !== undefined && value !== 'false';
}

/** What Express throws at a path that cannot be decoded. */
function isClientError(error: unknown): boolean {
  return error instanceof URIError;
}
