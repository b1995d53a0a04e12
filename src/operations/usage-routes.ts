import type { Request, RequestHandler, Response } from 'express';
import type { StartTimer } from '../decision/ports.ts';
import { readJsonObject } from '../listener/request-body.ts';
import { type OperationAnswer, sendAnswer } from './problem.ts';

/** What the usage and quota routes ask; each answers with a status and never throws. */
export interface UsagePorts {
  settle(reservationId: string, usage: unknown): Promise<OperationAnswer>;
  renew(reservationId: string, ttlSeconds: number): Promise<OperationAnswer>;
  /** How the limits of one tenant stand. */
  quotaOf(tenant: string): Promise<OperationAnswer>;
  /** Throws for JSON text that two readers could read differently. */
  parseJson(text: string): unknown;
}

export interface UsageRoutes {
  /** `POST /v1/usage` with `{reservation_id, usage}`. */
  readonly settle: RequestHandler;
  /** `POST /v1/usage/renew` with `{reservation_id, ttl_seconds}`. */
  readonly renew: RequestHandler;
  /** `GET /v1/quota?tenant=T`. */
  readonly quota: RequestHandler;
}

const BODY_LIMITS = { maxBytes: 64 * 1024, deadlineMs: 5_000 };
const MAX_TENANT = 128;

/** The routes by which metering reports what was used. Rights are looked at before any of them. */
export function createUsageRoutes(ports: UsagePorts, startTimer: StartTimer): UsageRoutes {
  /** Reads a body of exactly these members, the first of them the reservation id. */
  const withBody =
    (other: string, ask: (id: string, value: unknown) => Promise<OperationAnswer>): RequestHandler =>
    async (request: Request, response: Response) => {
      const body = await readJsonObject(request, BODY_LIMITS, startTimer, (text) => ports.parseJson(text));
      if (!request.complete) response.set('connection', 'close');
      if ('status' in body) return sendAnswer(response, { ...body, reason: 'bad_request' });
      const { members } = body;
      const id = Object.hasOwn(members, 'reservation_id') ? members['reservation_id'] : undefined;
      if (typeof id !== 'string') return sendAnswer(response, badField('reservation_id', 'is no text, or missing'));
      if (!Object.hasOwn(members, other)) return sendAnswer(response, badField(other, 'is missing'));
      if (Object.keys(members).length > 2) {
        const detail = `the body holds more than \`reservation_id\` and \`${other}\``;
        return sendAnswer(response, { status: 400, reason: 'bad_request', detail });
      }
      return sendAnswer(response, await ask(id, members[other]));
    };
  return {
    settle: withBody('usage', (id, usage) => ports.settle(id, usage)),
    renew: withBody('ttl_seconds', async (id, ttlSeconds) => {
      if (typeof ttlSeconds !== 'number') return badField('ttl_seconds', 'is no number');
      return ports.renew(id, ttlSeconds);
    }),
    quota: async ({ query }, response) => {
      const tenant = Object.hasOwn(query, 'tenant') ? query['tenant'] : undefined;
      if (typeof tenant !== 'string' || tenant === '' || tenant.length > MAX_TENANT) {
        return sendAnswer(response, badField('tenant', 'is to be named once: `/v1/quota?tenant=T`'));
      }
      return sendAnswer(response, await ports.quotaOf(tenant));
    },
  };
}

function badField(field: string, fault: string): OperationAnswer {
  return { status: 400, reason: 'bad_request', detail: `\`${field}\` ${fault}`, field };
}
