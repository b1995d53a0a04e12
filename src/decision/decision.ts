import { CLIENT_ANSWERS, type ClientReason, type CoreCode, reasonOfStatus } from './errors.ts';
import { type HeaderPairs, overlaid } from './header-changes.ts';
import { isEmptyObject, type JsonObject } from './json.ts';
import type { ResultShape } from './ports.ts';
import type { QuotaNotice, ToldQuota } from './quota-headers.ts';
import { isEnvoyStatus } from './status.ts';
import { VerdictFault } from './verdict-fields.ts';
import { type PolicyDenial, readVerdict, type VerdictParts } from './verdict-shapes.ts';

/**
 * Permission for one request. INVARIANT: only {@link parseVerdict} makes one; `Allow.is` proves it at run time, so an
 * object that merely looks like an Allow is none.
 */
export class Allow {
  readonly kind = 'allow';
  readonly setHeaders: HeaderPairs;
  readonly removeHeaders: readonly string[];
  /** Unencoded names and values. */
  readonly querySet: HeaderPairs;
  readonly queryRemove: readonly string[];
  readonly metadata: JsonObject;
  readonly reasons: readonly string[];
  /** By which the gateway's metering settles what is held; never for the client. */
  readonly reservationId: string | undefined;
  /** Headers Sallyport owns whose value is informative: a door that cannot set one removes it instead. */
  readonly ownedHeaders: HeaderPairs;
  /** All that `responseHeaders` say, where that is what the quota says and no more. */
  readonly toldQuota: ToldQuota | undefined;
  readonly #verdictHeaders: HeaderPairs;
  readonly #quota: QuotaNotice | undefined;
  readonly #made: true;

  private constructor(parts: AllowParts, key: typeof MAKER) {
    if (key !== MAKER) throw new TypeError('only `parseVerdict` makes an Allow');
    this.setHeaders = parts.setHeaders;
    this.removeHeaders = parts.removeHeaders;
    this.querySet = parts.querySet;
    this.queryRemove = parts.queryRemove;
    this.metadata = parts.metadata;
    this.reasons = parts.reasons;
    this.reservationId = parts.reservationId;
    this.ownedHeaders = parts.ownedHeaders;
    const { verdictHeaders, quota } = parts;
    this.toldQuota = verdictHeaders.length === 0 ? quota?.told : undefined;
    this.#verdictHeaders = verdictHeaders;
    this.#quota = quota;
    this.#made = true;
  }

  /** What the quota says replaces what a verdict says under the same names. */
  get responseHeaders(): HeaderPairs {
    return this.#quota === undefined ? this.#verdictHeaders : overlaid(this.#verdictHeaders, this.#quota.headers);
  }

  static is(value: unknown): value is Allow {
    return typeof value === 'object' && value !== null && #made in value;
  }

  /** Reached through `parseVerdict` only: `MAKER` is not exported. */
  static make(parts: AllowParts, key: typeof MAKER): Allow {
    return new Allow(parts, key);
  }
}

const MAKER: unique symbol = Symbol('parseVerdict');

/** All that an Allow is made of. */
type AllowParts = Omit<Allow, 'kind' | 'responseHeaders' | 'toldQuota'> & {
  readonly verdictHeaders: HeaderPairs;
  readonly quota: QuotaNotice | undefined;
};

export interface Deny {
  readonly kind: 'deny';
  readonly code: CoreCode;
  /** 400–599, known to Envoy; 300–399 only where config enables redirects. */
  readonly status: number;
  readonly reason: ClientReason;
  /** Policy reasons: for events, metrics and `sallyport eval`, never for the client. */
  readonly reasons: readonly string[];
  readonly headers: HeaderPairs;
  /** Replaces the problem+json body. */
  readonly body?: string;
  /** Of a refusal by the quota. */
  readonly exceeded?: ExceededProblem;
  readonly metadata: JsonObject;
}

/** What the body of a 429 says beside status and reason. */
export interface ExceededProblem {
  /** Names of limits of the caller's own. */
  readonly violated: readonly string[];
  /** Whether clients expect OpenAI's `error` member. */
  readonly openAi: boolean;
}

export type Decision = Allow | Deny;

/** What the core adds to an Allow, and what a verdict is read against. */
export interface VerdictContext {
  readonly shape: ResultShape;
  readonly allowRedirects: boolean;
  readonly anonymous: boolean;
  readonly owned: OwnedValues;
  /** Credential headers that must not reach the upstream. */
  readonly stripHeaders: readonly string[];
  /** What an Allow tells of the quota. */
  readonly quota?: QuotaNotice | undefined;
  readonly reservationId?: string | undefined;
}

export interface OwnedValues {
  readonly decisionId: string;
  readonly tenant: string | undefined;
  readonly roles: readonly string[];
}

/** The request headers that Sallyport sets or removes on every Allow, so that no client's copy survives. */
export const OWNED_HEADERS = {
  tenant: 'x-sallyport-tenant',
  role: 'x-sallyport-role',
  upstream: 'x-sallyport-upstream',
  decisionId: 'x-sallyport-decision-id',
} as const;

/** Makes a Deny with what its code says to the client. */
export function deny(code: CoreCode, parts: Partial<Omit<Deny, 'kind' | 'code'>> = {}): Deny {
  const { status, reason } = CLIENT_ANSWERS[code];
  return { kind: 'deny', code, status, reason, reasons: [], headers: [], metadata: {}, ...parts };
}

/** A Deny that tells an anonymous caller the same on every path, while its code stays what it was. */
export function denyAnonymous(code: CoreCode, parts: Partial<Omit<Deny, 'kind' | 'code'>> = {}): Deny {
  return deny(code, { ...parts, ...CLIENT_ANSWERS.no_credential, headers: [] });
}

/**
 * The only maker of an Allow: reads a raw policy result by the shape that local config names. Whatever it does not
 * know, it denies; it never throws.
 */
export function parseVerdict(value: unknown, context: VerdictContext): Decision {
  if (value === undefined) return deny('undefined_verdict');
  try {
    return toDecision(value, context);
  } catch (error) {
    if (error instanceof VerdictFault) return deny(error.code);
    throw error;
  }
}

/** Why a verdict was refused, for the log; `undefined` when it was not. Costs a second parse: for operators. */
export function verdictFault(value: unknown, context: VerdictContext): string | undefined {
  if (value === undefined) return 'the decision is undefined';
  try {
    toDecision(value, context);
    return undefined;
  } catch (error) {
    return error instanceof VerdictFault ? error.message : String(error);
  }
}

function toDecision(value: unknown, context: VerdictContext): Decision {
  const read = readVerdict(value, context.shape);
  return read.allow ? makeAllow(read.parts, read.upstream, context) : denyByPolicy(read.denial, context);
}

function makeAllow(parts: VerdictParts, upstream: string | undefined, context: VerdictContext): Allow {
  if (upstream !== undefined && !UPSTREAM_NAME.test(upstream)) {
    throw new VerdictFault('`upstream` is not a cluster name');
  }
  const { owned, stripHeaders } = context;
  const ownedHeaders: [string, string][] = [[OWNED_HEADERS.decisionId, headerSafe(owned.decisionId)]];
  const removeHeaders = parts.removeHeaders.concat(stripHeaders);
  if (owned.tenant === undefined) removeHeaders.push(OWNED_HEADERS.tenant);
  else ownedHeaders.push([OWNED_HEADERS.tenant, headerSafe(owned.tenant)]);
  if (owned.roles.length === 0) removeHeaders.push(OWNED_HEADERS.role);
  else ownedHeaders.push([OWNED_HEADERS.role, headerSafe(owned.roles.join(','))]);
  // The upstream is a routing choice, not information: a door that cannot set it must deny, so it is a plain header.
  let setHeaders = parts.setHeaders;
  if (upstream === undefined) removeHeaders.push(OWNED_HEADERS.upstream);
  else setHeaders = setHeaders.concat([[OWNED_HEADERS.upstream, upstream]]);
  const { quota } = context;
  // Member by member: spread together, they cost half a microsecond.
  return Allow.make(
    {
      setHeaders,
      removeHeaders: withoutSet(removeHeaders, setHeaders),
      verdictHeaders: parts.responseHeaders,
      quota,
      querySet: parts.querySet,
      queryRemove: parts.queryRemove,
      metadata: quota === undefined ? parts.metadata : merged(parts.metadata, quota.metadata),
      reasons: parts.reasons,
      reservationId: context.reservationId,
      ownedHeaders,
    },
    MAKER,
  );
}

/** Both, of which the second wins; itself where the other says nothing. */
function merged(metadata: JsonObject, ours: JsonObject): JsonObject {
  if (isEmptyObject(ours)) return metadata;
  return isEmptyObject(metadata) ? ours : { ...metadata, ...ours };
}

/** A header that is set replaces the client's; removing it too would take the policy's own away at some gateways. */
function withoutSet(removed: readonly string[], set: HeaderPairs): readonly string[] {
  if (set.length === 0) return removed;
  const left: string[] = [];
  for (const name of removed) if (!isSet(name, set)) left.push(name);
  return left;
}

function isSet(name: string, set: HeaderPairs): boolean {
  for (const [other] of set) if (other === name) return true;
  return false;
}

function headerSafe(value: string): string {
  if (HEADER_SAFE.test(value)) return value;
  throw new VerdictFault('the tenant or a role of the caller cannot be sent as a header value');
}

const UPSTREAM_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const HEADER_SAFE = /^[\x21-\x7e][\x20-\x7e]*$/;

function denyByPolicy(denial: PolicyDenial, context: VerdictContext): Deny {
  const status = denialStatus(denial.status, context);
  return deny('policy_denied', {
    status,
    reason: reasonOfStatus(status),
    reasons: denial.reasons ?? [],
    headers: denial.headers ?? [],
    ...(denial.body === undefined ? {} : { body: denial.body }),
    metadata: denial.metadata ?? {},
  });
}

function denialStatus(status: number | undefined, context: VerdictContext): number {
  if (status === undefined) return context.anonymous ? 401 : 403;
  const lowest = context.allowRedirects ? 300 : 400;
  // 304 has no body (RFC 9110 §15.4.5): Envoy sends a denial's all the same, and the connection is out of step.
  return status !== 304 && status >= lowest && status <= 599 && isEnvoyStatus(status) ? status : 403;
}
