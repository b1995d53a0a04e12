import type { Request, RequestHandler, Response } from 'express';
import type { StartTimer } from '../decision/ports.ts';
import { readBytes, readJsonObject } from '../listener/request-body.ts';
import { type Answer, bodyRefusal, refusal, sendAnswer } from './answer.ts';
import type { Author, Changes } from './changes.ts';
import type { ServedBundle } from './config.ts';
import { nameIn } from './delivery.ts';
import type { TokenHolder } from './rights.ts';
import { createUploads } from './uploads.ts';
import { MAX_JWS } from './verifier.ts';

/** What authors and operators send. Rights were looked at before any of it. */
export interface ChangeRoutes {
  /** `PUT /v1/bundles/:name/archives`. */
  readonly publish: RequestHandler;
  /** `PUT /v1/bundles/:name/deltas`. */
  readonly publishDelta: RequestHandler;
  /** `POST /v1/bundles/:name/channels/:channel` with `{sha256}`. */
  readonly promote: RequestHandler;
  /** `POST /v1/bundles/:name/orders` with `{order}`. */
  readonly order: RequestHandler;
}

export interface ChangeRoutesPorts {
  readonly bundles: ReadonlyMap<string, ServedBundle>;
  readonly changes: Changes;
  readonly maxArchiveBytes: number;
  readonly transferMs: number;
  readonly startTimer: StartTimer;
  /** Throws for JSON text that two readers could read differently. */
  readonly parseJson: (text: string) => unknown;
}

export function createChangeRoutes(ports: ChangeRoutesPorts): ChangeRoutes {
  const { bundles, changes, maxArchiveBytes, transferMs, startTimer, parseJson } = ports;

  /** How many bodies of archives are held now, by the token they came with. */
  const uploads = createUploads();

  const upload =
    (store: (name: string, bytes: Uint8Array, jws: string, author: Author) => Promise<Answer>): RequestHandler =>
    async (request, response) => {
      const { 'x-sallyport-signature': signatures = [], 'content-encoding': encodings = [] } = request.headersDistinct;
      const [jws] = signatures;
      if (jws === undefined || signatures.length !== 1 || jws.length > MAX_JWS || encodings.length > 0) {
        return sendAnswer(response, NO_SIGNATURE);
      }
      const author = authorOf(request, response);
      const end = uploads.begin(author.who);
      if (end === undefined) return sendAnswer(response, TOO_MANY_UPLOADS);
      try {
        const limits = { maxBytes: maxArchiveBytes, deadlineMs: transferMs };
        const bytes = await readBytes(request, limits, startTimer);
        if (!Buffer.isBuffer(bytes)) return sendAnswer(response, bodyRefusal(bytes));
        return sendAnswer(response, await store(nameIn(request), bytes, jws, author));
      } finally {
        end();
      }
    };

  /** Reads a body of exactly this member, a text. */
  const withText =
    (
      member: string,
      max: number,
      change: (request: Request, text: string, author: Author) => Promise<Answer>,
    ): RequestHandler =>
    async (request, response) => {
      const limits = { maxBytes: 2 * MAX_JWS, deadlineMs: transferMs, gzip: true };
      const body = await readJsonObject(request, limits, startTimer, parseJson);
      if (!('members' in body)) return sendAnswer(response, bodyRefusal(body));
      const text = Object.hasOwn(body.members, member) ? body.members[member] : undefined;
      if (typeof text !== 'string' || text.length > max || Object.keys(body.members).length !== 1) {
        return sendAnswer(response, refusal(400, 'bad_request', `the body has to be \`{"${member}": TEXT}\``));
      }
      return sendAnswer(response, await change(request, text, authorOf(request, response)));
    };

  return {
    publish: upload((name, bytes, jws, author) => changes.publish(name, bytes, jws, author)),
    publishDelta: upload((name, bytes, jws, author) => changes.publishDelta(name, bytes, jws, author)),
    promote: withText('sha256', 64, async (request, sha256, author) => {
      const name = nameIn(request);
      const channel = String(request.params['channel'] ?? '');
      if (bundles.get(name)?.channels.names.includes(channel) !== true) {
        return refusal(404, 'not_found', 'the bundle has no such channel');
      }
      return changes.promote(name, channel, sha256, author);
    }),
    order: withText('order', MAX_JWS, (request, jws, author) => changes.order(nameIn(request), jws, author)),
  };
}

const NO_SIGNATURE = refusal(
  400,
  'bad_request',
  'the archive is sent as it is, with its one signature in the header `x-sallyport-signature`',
);

const TOO_MANY_UPLOADS = refusal(503, 'too_many_uploads', 'others are publishing just now; come again');

function authorOf({ socket }: Request, response: Response): Author {
  // Set by the server once the right was found, before any of these routes.
  const holder = response.locals['holder'] as TokenHolder | undefined;
  return { who: holder?.name ?? 'nobody', from: socket.remoteAddress ?? 'unix' };
}
