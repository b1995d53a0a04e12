import type { RequestHandler } from 'express';
import type { Clock, StartTimer } from '../decision/ports.ts';
import { readJsonObject } from '../listener/request-body.ts';
import { bodyRefusal, refusal, sendAnswer } from './answer.ts';
import type { Catalog } from './catalog.ts';
import { nameIn } from './delivery.ts';
import type { Fleet } from './fleet.ts';
import { viewFleet } from './fleet-view.ts';
import type { TokenHolder } from './rights.ts';
import { parseStatusReport } from './status-report.ts';

/** What instances say and operators see. Rights were looked at before any of it. */
export interface FleetRoutes {
  /** `POST /v1/status`: OPA's status API. */
  readonly report: RequestHandler;
  /** `GET /v1/fleet`. */
  readonly fleet: RequestHandler;
  /** `GET /v1/bundles/:name/revisions`. */
  readonly revisions: RequestHandler;
}

export interface FleetRoutesPorts {
  readonly catalog: Catalog;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly parseJson: (text: string) => unknown;
}

export function createFleetRoutes({ catalog, fleet, clock, startTimer, parseJson }: FleetRoutesPorts): FleetRoutes {
  return {
    report: async (request, response) => {
      const body = await readJsonObject(request, STATUS_LIMITS, startTimer, parseJson);
      if (!('members' in body)) return sendAnswer(response, bodyRefusal(body));
      const holder = holderIn(response.locals);
      const report =
        holder && parseStatusReport(body.members, (name) => holder.covers(name) && catalog.shelf(name) !== undefined);
      if (holder === undefined || report === undefined) {
        return sendAnswer(
          response,
          refusal(400, 'bad_request', 'the status names no instance: `labels.id` is compulsory'),
        );
      }
      if (fleet.report(holder.name, report) === 'full') {
        return sendAnswer(response, refusal(429, 'too_many_instances', 'too many instances report with this token'));
      }
      return sendAnswer(response, { status: 200, body: {} });
    },

    fleet: (_request, response) => {
      const covers = (name: string): boolean => holderIn(response.locals)?.covers(name) === true;
      const body = viewFleet(fleet.instances(), (name) => catalog.shelf(name), covers, clock.now().epochMs);
      sendAnswer(response, { status: 200, body });
    },

    revisions: (request, response) => {
      const name = nameIn(request);
      const shelf = catalog.shelf(name);
      if (shelf === undefined) return sendAnswer(response, refusal(404, 'not_found', 'there is no such bundle'));
      const revisions = [...shelf.releases.values()]
        .sort((a, b) => b.claims.version - a.claims.version)
        .map(({ claims, sizeBytes }) => ({
          version: claims.version,
          revision: claims.revision,
          sha256: claims.sha256,
          size: sizeBytes,
          issued_at: timeOf(claims.issuedAtEpochS),
          expires_at: timeOf(claims.expiresEpochS),
          min_rollback_version: claims.minRollbackVersion,
          security: claims.security,
          channels: [...shelf.channels].flatMap(([channel, turn]) =>
            turn.sha256 === claims.sha256 && turn.version === claims.version ? [channel] : [],
          ),
        }));
      const channels = Object.fromEntries(shelf.channels);
      const deltas = [...shelf.deltas.values()].map(({ claims, sizeBytes }) => ({
        version: claims.version,
        base_sha256: claims.baseSha256,
        sha256: claims.sha256,
        size: sizeBytes,
      }));
      const order = shelf.order?.order ?? null;
      return sendAnswer(response, { status: 200, body: { name, revisions, channels, deltas, order } });
    },
  };
}

const STATUS_LIMITS = { maxBytes: 1024 * 1024, deadlineMs: 10_000, gzip: true };

function holderIn(locals: { readonly [name: string]: unknown }): TokenHolder | undefined {
  // Set by the server once the right was found, before any of these routes.
  return locals['holder'] as TokenHolder | undefined;
}

/** What an author signs may lie beyond the times that have a name: then it is the number. */
function timeOf(epochS: number): string {
  const date = new Date(epochS * 1000);
  return Number.isNaN(date.getTime()) ? String(epochS) : date.toISOString();
}
