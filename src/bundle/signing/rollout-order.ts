import { isObject } from '../../decision/json.ts';
import type { ExpectedBundle } from './bundle-signature.ts';
import { FORM, memberOf, readClaims, refused } from './claim-members.ts';
import type { RolloutOrder } from './claims.ts';
import { verifyJws } from './jws.ts';
import type { Signer } from './signer.ts';

/** Verifies a signed rollout order and what it is for; neither its time nor its version. Throws `bundle_untrusted`. */
export function verifyRolloutOrder(jws: string, { keys, scope, name }: ExpectedBundle): RolloutOrder {
  const order = toRolloutOrder(verifyJws(jws, TYPE, keys));
  if (order.bundle !== name) throw refused(`orders a rollout of \`${order.bundle}\`, not of \`${name}\``);
  if (order.scope !== scope) throw refused(`is for the scope \`${order.scope}\`, not \`${scope}\``);
  return order;
}

/** Signs an order, after the same checks that its readers make. */
export function signRolloutOrder(order: RolloutOrder, signer: Signer): string {
  const payload = fromRolloutOrder(order);
  toRolloutOrder(payload);
  return signer.sign(TYPE, payload);
}

/** The payload of an order as it travels; what an order leaves at its default is left out. */
export function fromRolloutOrder(order: RolloutOrder): { readonly [name: string]: unknown } {
  const { abortOnTrips, aborted, candidate, labels, paused } = order;
  return {
    kind: 'rollout',
    bundle: order.bundle,
    scope: order.scope,
    version: order.version,
    iat: order.issuedAtEpochS,
    exp: order.expiresEpochS,
    candidate: { sha256: candidate.sha256, version: candidate.version, revision: candidate.revision },
    mode: order.mode,
    percent: order.percent,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(paused ? { paused } : {}),
    ...(aborted ? { aborted } : {}),
    ...(abortOnTrips === undefined ? {} : { abort_on_trips: abortOnTrips }),
  };
}

const TYPE = 'sallyport-rollout+jws';

const MEMBERS = new Set([
  'kind',
  'bundle',
  'scope',
  'version',
  'iat',
  'exp',
  'candidate',
  'mode',
  'percent',
  'labels',
  'paused',
  'aborted',
  'abort_on_trips',
]);

const CANDIDATE_MEMBERS = new Set(['sha256', 'version', 'revision']);

const MODES: ReadonlyMap<string, RolloutOrder['mode']> = new Map([
  ['shadow', 'shadow'],
  ['canary', 'canary'],
  ['promote', 'promote'],
]);

function toRolloutOrder(payload: { readonly [name: string]: unknown }): RolloutOrder {
  const read = readClaims(payload, MEMBERS);
  read.text('kind', /^rollout$/);
  const mode = MODES.get(read.text('mode', /^[a-z]+$/));
  if (mode === undefined) throw refused('has a `mode` that is none of shadow, canary and promote');
  const issuedAtEpochS = read.whole('iat');
  const expiresEpochS = read.whole('exp');
  if (expiresEpochS <= issuedAtEpochS) throw refused('expires before it begins');
  const candidate = memberOf(payload, 'candidate');
  if (!isObject(candidate)) throw refused('has no `candidate`');
  const ofCandidate = readClaims(candidate, CANDIDATE_MEMBERS);
  const abortOnTrips = read.optionalWhole('abort_on_trips', 1);
  return {
    bundle: read.text('bundle', FORM.bundle),
    scope: read.text('scope', FORM.scope),
    version: read.whole('version', 1),
    issuedAtEpochS,
    expiresEpochS,
    candidate: {
      sha256: ofCandidate.text('sha256', FORM.sha256),
      version: ofCandidate.whole('version', 1),
      revision: ofCandidate.text('revision', FORM.revision),
    },
    mode,
    percent: read.whole('percent', 0, 100),
    labels: toLabels(memberOf(payload, 'labels')),
    paused: read.flag('paused'),
    aborted: read.flag('aborted'),
    ...(abortOnTrips === undefined ? {} : { abortOnTrips }),
  };
}

const MAX_LABELS = 32;
const LABEL = /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}$/;

function toLabels(value: unknown): RolloutOrder['labels'] {
  if (value === undefined) return {};
  const labels = isObject(value) ? Object.entries(value) : undefined;
  const good = labels?.every(([name, text]) => LABEL.test(name) && typeof text === 'string' && LABEL.test(text));
  if (labels === undefined || labels.length > MAX_LABELS || good !== true) {
    throw refused('has `labels` that are not a few short texts by name');
  }
  // Every value was found to be a text.
  return Object.fromEntries(labels) as RolloutOrder['labels'];
}
