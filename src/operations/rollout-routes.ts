import { createHash } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { StartTimer } from '../decision/ports.ts';
import { readJsonObject } from '../listener/request-body.ts';
import { type OperationAnswer, sendAnswer } from './problem.ts';

/** What may be changed by hand. */
export const ROLLOUT_ACTIONS = ['pin', 'unpin', 'pause', 'resume', 'abort'] as const;

export type RolloutAction = (typeof ROLLOUT_ACTIONS)[number];

/** What the status and rollout routes ask; none of it throws. */
export interface RolloutPorts {
  /** Bundles in force, how stale they are, and the rollout. */
  status(): object;
  rollout(): object;
  change(action: RolloutAction, asked: RolloutChange): OperationAnswer;
  /** Throws for JSON text that two readers could read differently. */
  parseJson(text: string): unknown;
}

export interface RolloutChange {
  /** The beginning of the SHA-256 of the token that was shown: who, and no secret. */
  readonly by: string;
  readonly reason?: string;
  /** Of `pin`. */
  readonly to?: 'stable' | 'candidate';
  /** Of `resume`: the archive that may be tried again. */
  readonly sha256?: string;
}

export interface RolloutRoutes {
  /** `GET /v1/status`. */
  readonly status: RequestHandler;
  /** `GET /v1/rollout`. */
  readonly rollout: RequestHandler;
  /** `POST /v1/rollout/pin` with `{to, reason?}`, the others with `{reason?}`, `resume` also with `{sha256}`. */
  readonly change: (action: RolloutAction) => RequestHandler;
}

const BODY_LIMITS = { maxBytes: 4 * 1024, deadlineMs: 5_000 };
const REASON = /^[^\p{Cc}]{1,256}$/u;
const SHA256 = /^[0-9a-f]{64}$/;

/** The routes by which rollouts are looked at and changed. Rights are looked at before any of them. */
export function createRolloutRoutes(ports: RolloutPorts, startTimer: StartTimer): RolloutRoutes {
  return {
    status: (_request, response) => sendAnswer(response, { status: 200, body: ports.status() }),
    rollout: (_request, response) => sendAnswer(response, { status: 200, body: ports.rollout() }),
    change: (action) => async (request: Request, response: Response) => {
      const body = await readJsonObject(request, BODY_LIMITS, startTimer, (text) => ports.parseJson(text));
      if (!request.complete) response.set('connection', 'close');
      if ('status' in body) return sendAnswer(response, { ...body, reason: 'bad_request' });
      const asked = readChange(action, body.members);
      if ('status' in asked) return sendAnswer(response, asked);
      return sendAnswer(response, ports.change(action, { ...asked, by: callerName(request) }));
    },
  };
}

function readChange(
  action: RolloutAction,
  members: { readonly [name: string]: unknown },
): Omit<RolloutChange, 'by'> | Extract<OperationAnswer, { reason: string }> {
  const known = ['reason', ...(action === 'pin' ? ['to'] : []), ...(action === 'resume' ? ['sha256'] : [])];
  const unknown = Object.keys(members).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    return { status: 400, reason: 'bad_request', detail: `the body holds more than \`${known.join('`, `')}\`` };
  }
  const own = (name: string): unknown => (Object.hasOwn(members, name) ? members[name] : undefined);
  const [reason, to, sha256] = [own('reason'), own('to'), own('sha256')];
  if (reason !== undefined && (typeof reason !== 'string' || !REASON.test(reason))) {
    return badField('reason', 'is no text of 1 to 256 characters');
  }
  if (action === 'pin' && to !== 'stable' && to !== 'candidate') return badField('to', 'is `stable` or `candidate`');
  if (sha256 !== undefined && (typeof sha256 !== 'string' || !SHA256.test(sha256))) {
    return badField('sha256', 'is no digest of 64 hex digits');
  }
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(to === 'stable' || to === 'candidate' ? { to } : {}),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

/** The token was verified before: here it is only named. */
function callerName(request: Request): string {
  const token = request.headers.authorization?.replace(/^bearer /i, '') ?? '';
  return `token ${createHash('sha256').update(token).digest('hex').slice(0, 12)}`;
}

function badField(field: string, fault: string): Extract<OperationAnswer, { reason: string }> {
  return { status: 400, reason: 'bad_request', detail: `\`${field}\` ${fault}`, field };
}
