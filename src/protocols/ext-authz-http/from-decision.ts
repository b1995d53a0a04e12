import { Allow, type Decision, type Deny, deny, OWNED_HEADERS } from '../../decision/decision.ts';
import type { HeaderPairs } from '../../decision/header-changes.ts';
import { denialHeaders, problemBody } from '../../listener/problem.ts';
import { writeUtf8 } from './raw-headers.ts';

/** An answer ready for Node: header names and latin1 values in turn, body as bytes. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** The header by which every answer can be found in the decision log. */
const DECISION_ID = 'x-sallyport-decision-id';

/**
 * The only encoder of this door. 200 for what `Allow.is` proves and the door can carry out; everything else is a
 * status of 400–499, because to Envoy a 5xx is an error, which passes under `failure_mode_allow`.
 */
export function toWireAnswer(decision: Decision, decisionId: string, upstreamHeaders: ReadonlySet<string>): WireAnswer {
  if (!Allow.is(decision)) return toDenial(decision.kind === 'deny' ? decision : deny('internal'), decisionId);
  return canCarryOut(decision, upstreamHeaders)
    ? toAllow(decision, decisionId, upstreamHeaders)
    : toDenial(deny('unsupported_by_door'), decisionId);
}

/**
 * For the gateway alone: Envoy takes it into dynamic metadata (`dynamic_metadata_from_headers`); upstream and client see
 * only headers that Envoy's lists name.
 */
const RESERVATION_ID = 'x-sallyport-reservation-id';

/** The answer when there is no decision at all: something failed around the core. */
export function faultAnswer(): WireAnswer {
  return {
    status: 403,
    headers: ['content-type', 'application/problem+json', 'content-length', String(FAULT_BODY.length)],
    body: FAULT_BODY,
  };
}

const FAULT_BODY = Buffer.from(
  JSON.stringify({ status: 403, title: 'The request cannot be decided at present', reason: 'unavailable' }),
);

/** What an HTTP door may answer to a denial. */
export function denialStatus(status: number): number {
  return Number.isInteger(status) && status >= 400 && status <= 499 ? status : 403;
}

function toDenial(decision: Deny, decisionId: string): WireAnswer {
  const told: Deny = { ...decision, status: denialStatus(decision.status) };
  const body = Buffer.from(problemBody(told, decisionId), 'utf8');
  const headers: string[] = [];
  for (const [name, value] of denialHeaders(told)) {
    if (!FRAMING.has(name)) headers.push(name, writeUtf8(value));
  }
  headers.push(DECISION_ID, decisionId, 'content-length', String(body.length));
  return { status: told.status, headers, body };
}

/** Ours to write, whatever a verdict says: the core refuses them as well. */
const FRAMING: ReadonlySet<string> = new Set(
  ['content-length', 'transfer-encoding', 'connection'].concat([DECISION_ID, RESERVATION_ID]),
);

/**
 * The core asked the door's capabilities already; a second look costs little and fails closed. A header for the
 * client whose name is listed as an upstream header would become a request header in Envoy: that cannot be told apart.
 */
function canCarryOut(allow: Allow, upstreamHeaders: ReadonlySet<string>): boolean {
  return (
    allow.querySet.length === 0 &&
    allow.queryRemove.length === 0 &&
    allow.setHeaders.every(([name]) => upstreamHeaders.has(name)) &&
    allow.responseHeaders.every(([name]) => !upstreamHeaders.has(name))
  );
}

/**
 * Headers to set travel as response headers, which Envoy copies to the request; removals in one list, which it applies
 * afterwards. An owned header that the door does not list is removed, so that no client's copy survives.
 */
function toAllow(allow: Allow, decisionId: string, upstreamHeaders: ReadonlySet<string>): WireAnswer {
  const headers: string[] = [];
  const removals = new Set(allow.removeHeaders);
  for (const [name, value] of joinValues(allow.setHeaders)) headers.push(name, writeUtf8(value));
  for (const [name, value] of allow.ownedHeaders) {
    if (!upstreamHeaders.has(name)) removals.add(name);
    else if (name !== DECISION_ID) headers.push(name, writeUtf8(value));
  }
  for (const [name, value] of allow.responseHeaders) {
    if (FRAMING.has(name)) continue;
    headers.push(name, writeUtf8(value));
  }
  headers.push('x-envoy-auth-headers-to-remove', [...removals, TWINS].join(','));
  if (allow.reservationId !== undefined) headers.push(RESERVATION_ID, allow.reservationId);
  headers.push(DECISION_ID, decisionId);
  headers.push('content-length', '0');
  return { status: 200, headers, body: EMPTY };
}

/**
 * Every spelling of an owned header that upstreams which read `_` for `-` take for ours. Envoy shows this door only the
 * headers that it lists, so they are removed unseen.
 */
export const OWNED_TWINS: readonly string[] = Object.values(OWNED_HEADERS).flatMap((name) => {
  const [first = '', ...words] = name.split('-');
  let twins = [first];
  for (const word of words) twins = twins.flatMap((twin) => [`${twin}-${word}`, `${twin}_${word}`]);
  return twins.filter((twin) => twin !== name);
});
const TWINS = OWNED_TWINS.join(',');

const EMPTY = Buffer.alloc(0);

/** Of several response headers of one name Envoy keeps the last only; joined they mean the same (RFC 9110 §5.3). */
function joinValues(pairs: HeaderPairs): Iterable<readonly [string, string]> {
  if (pairs.length < 2) return pairs;
  const joined = new Map<string, string>();
  for (const [name, value] of pairs) {
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ','}${value}`);
  }
  return joined;
}
