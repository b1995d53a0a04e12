import { ownText } from '../decision/own-text.ts';
import type { Inspected, MatchedRoute, Outcome } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';

/** What events say again of every request by which one token asks the same place; all but the payload's size. */
export interface KnownPlace {
  /** The section `request`, open where its size goes. */
  readonly request: string;
  /** The sections after it, up to `identity`. */
  readonly others: string;
}

/** Of each verified credential the last places. `undefined` for a request of which something else may be logged. */
export interface KnownPlaces {
  find(principal: Principal, outcome: Outcome): KnownPlace | undefined;
  /** `place` is asked only for a place that is worth keeping. */
  add(principal: Principal, outcome: Outcome, place: () => KnownPlace): void;
}

/** Measured on warm checks: with what the inspector keeps of routes, an event costs a third less. */
export function createKnownPlaces(): KnownPlaces {
  // By the principal that stands for all equal ones, and so gone with its token.
  const known = new WeakMap<Principal, Entry[]>();
  const missed: MatchedRoute[] = [];
  let next = 0;
  /** A place that is asked once is not worth keeping: its route comes again, or it is not the inspector's to keep. */
  const isAskedAgain = (route: MatchedRoute): boolean => {
    if (missed.includes(route)) return true;
    missed[next] = route;
    next = (next + 1) % MAX_MISSED;
    return false;
  };
  return {
    find: (principal, outcome) => {
      const entries = known.get(principal);
      if (entries === undefined) return undefined;
      const inspected = toPlain(outcome);
      if (inspected === undefined) return undefined;
      for (const entry of entries) if (isSame(entry, outcome, inspected)) return entry.place;
      return undefined;
    },
    add: (principal, outcome, place) => {
      const inspected = toPlain(outcome);
      if (inspected === undefined || !isAskedAgain(inspected.route)) return;
      const entry = toEntry(outcome, inspected, place());
      const entries = known.get(principal);
      if (entries === undefined) known.set(principal, [entry]);
      else known.set(principal, [entry, ...entries.slice(0, MAX_PLACES - 1)]);
    },
  };
}

const MAX_PLACES = 4;
const MAX_MISSED = 32;

interface Entry {
  readonly route: MatchedRoute;
  readonly path: string;
  readonly method: string;
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly contentType: string | undefined;
  readonly place: KnownPlace;
}

/** An accepted request on a route, without a peer. */
function toPlain({ inspected, peer }: Outcome): (Inspected & { readonly route: MatchedRoute }) | undefined {
  if (inspected?.kind !== 'inspected' || inspected.route === null || peer !== undefined) return undefined;
  // The route was looked at just above.
  return inspected as Inspected & { readonly route: MatchedRoute };
}

function isSame(entry: Entry, { request }: Outcome, inspected: Inspected): boolean {
  return (
    entry.route === inspected.route &&
    entry.path === inspected.path &&
    !('unreadable' in request) &&
    entry.method === request.method &&
    entry.scheme === request.scheme &&
    entry.host === inspected.host &&
    entry.contentType === inspected.contentType
  );
}

function toEntry(
  { request }: Outcome,
  inspected: Inspected & { readonly route: MatchedRoute },
  place: KnownPlace,
): Entry {
  const { method, scheme } = 'unreadable' in request ? NOTHING_READ : request;
  return {
    route: inspected.route,
    path: ownText(inspected.path),
    method: ownText(method),
    scheme: scheme && ownText(scheme),
    host: inspected.host && ownText(inspected.host),
    contentType: inspected.contentType && ownText(inspected.contentType),
    place: { request: ownText(place.request), others: ownText(place.others) },
  };
}

const NOTHING_READ = { method: '', scheme: undefined };
