import type { NextFunction, Request, RequestHandler, Response } from 'express';
import express from 'express';
import type { Logger } from '../telemetry/logger.ts';
import { hasBody, refusal, sendAnswer } from './answer.ts';
import type { ChangeRoutes } from './change-routes.ts';
import type { BundleServerRight, ServedBundle } from './config.ts';
import { type Delivery, nameIn } from './delivery.ts';
import type { FleetRoutes } from './fleet-routes.ts';
import { callerOf, type Rights } from './rights.ts';

export interface AppPorts {
  readonly bundles: ReadonlyMap<string, ServedBundle>;
  readonly rights: Rights;
  readonly delivery: Delivery;
  readonly changes: ChangeRoutes;
  readonly fleet: FleetRoutes;
  readonly logger: Logger;
}

/** Every route of the bundle server, each behind its right. */
export function createApp({ bundles, rights, delivery, changes, fleet, logger }: AppPorts): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');

  app.use((request: Request, response: Response, next: NextFunction) => {
    response.set('x-content-type-options', 'nosniff');
    if (!rights.isOwn(callerOf(request))) return sendAnswer(response, FOREIGN);
    if (hasBody(request) && !TAKES_BODY.has(request.method)) return sendAnswer(response, NO_BODY);
    next();
  });

  const refuse = (request: Request, response: Response, status: 401 | 403, detail: string): void => {
    const from = request.socket.remoteAddress ?? 'unix';
    logger.limited(`refused ${status}`, 'warn', { from, method: request.method, detail }, 'a caller was refused');
    sendAnswer(response, refusal(status, status === 401 ? 'unauthenticated' : 'forbidden', detail));
  };

  /** `bundle`: the token must be good for the bundle of the path as well. */
  const needs =
    (right: BundleServerRight, over: 'bundle' | 'server'): RequestHandler =>
    (request, response, next) => {
      const name = over === 'bundle' ? nameIn(request) : undefined;
      if (right === 'read' && name !== undefined && bundles.get(name)?.download === 'open') return next();
      const holder = rights.holderOf(callerOf(request));
      if (holder === undefined) return refuse(request, response, 401, 'a token is required');
      const covered = name === undefined || holder.covers(name);
      if (!holder.rights.includes(right) || !covered) {
        return refuse(request, response, 403, `the token has no right \`${right}\` here`);
      }
      response.locals['holder'] = holder;
      return next();
    };

  const read = needs('read', 'bundle');
  const promote = needs('promote', 'bundle');
  const publish = needs('publish', 'bundle');
  app.get('/v1/bundles/:name', read, delivery.current);
  app.get('/v1/bundles/:name/archives/:sha256', read, delivery.archive);
  app.get('/v1/bundles/:name/orders', read, delivery.orders);
  app.get('/v1/bundles/:name/revisions', read, fleet.revisions);
  app.put('/v1/bundles/:name/archives', publish, changes.publish);
  app.put('/v1/bundles/:name/deltas', publish, changes.publishDelta);
  app.post('/v1/bundles/:name/channels/:channel', promote, changes.promote);
  app.post('/v1/bundles/:name/orders', promote, changes.order);
  for (const path of STATUS_PATHS) app.post(path, needs('report', 'server'), fleet.report);
  app.get('/v1/fleet', needs('fleet', 'server'), fleet.fleet);
  app.get('/health', (_request, response) => void response.json({}));

  app.use((_request: Request, response: Response) => sendAnswer(response, NOTHING_HERE));
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (error instanceof URIError) return sendAnswer(response, MALFORMED);
    logger.error({ why: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'a request failed');
    if (response.headersSent) return next(error);
    return sendAnswer(response, refusal(500, 'internal_error', 'internal error'));
  });
  return app;
}

/** OPA adds the name of its partition, if it has one, and the slash before it in any case. */
const STATUS_PATHS = [
  '/v1/status',
  '/v1/status/',
  '/v1/status/:partition',
  '/status',
  '/status/',
  '/status/:partition',
];
const TAKES_BODY = new Set(['PUT', 'POST']);

const FOREIGN = refusal(403, 'foreign', 'not addressed to this service');
const NO_BODY = refusal(413, 'bad_request', 'no body is taken here');
const MALFORMED = refusal(400, 'bad_request', 'the request is malformed');
const NOTHING_HERE = refusal(404, 'not_found', 'there is nothing here');
