import type { AccessRequest } from '../../src/decision/access-request.ts';
import { createAuthorize } from '../../src/decision/authorize.ts';
import type { AuthorizePorts, Generation, Inspected, MatchedRoute, NamedDecision } from '../../src/decision/ports.ts';
import type { Authentication, Principal } from '../../src/decision/principal.ts';

/** An access request with everything absent but what the test names. */
export function accessRequest(
  parts: Partial<AccessRequest> & { headerList?: readonly [string, string][] } = {},
): AccessRequest {
  const { headerList = [], ...rest } = parts;
  return {
    door: 'test',
    method: 'POST',
    target: '/tenant-a/llama-3-8b/infer',
    host: 'gateway.test',
    headers: {
      all: (name) => headerList.filter(([key]) => key === name).map(([, value]) => value),
      names: () => new Set(headerList.map(([key]) => key)),
    },
    body: { bytes: new Uint8Array(), complete: undefined },
    contextExtensions: new Map(),
    attributes: () => undefined,
    headersAreRaw: false,
    capabilities: { queryChanges: true, upstreamHeaders: 'all' },
    ...rest,
  };
}

export const tenantA: Principal = {
  kind: 'jwt',
  subject: 'alice',
  issuer: 'https://issuer.test',
  tenant: 'tenant-a',
  tier: 'premium',
  roles: ['analyst'],
  scopes: [],
  claims: { department: 'research' },
  credentials: [],
  demo: false,
};

export function verified(principal: Principal = tenantA): Authentication {
  return { kind: 'verified', principal, peer: null, stripHeaders: [] };
}

export const anonymous: Authentication = { kind: 'anonymous', peer: null, stripHeaders: [] };

export const inferRoute: MatchedRoute = {
  name: 'infer',
  tenant: 'tenant-a',
  model: 'llama-3-8b',
  operation: 'infer',
  params: {},
  requiredLimits: [],
};

export function inspected(parts: Partial<Inspected> = {}): Inspected {
  return {
    kind: 'inspected',
    path: '/tenant-a/llama-3-8b/infer',
    host: 'gateway.test',
    size: { known: true, bytes: 2 },
    route: inferRoute,
    network: { client_ip: '192.0.2.1' },
    plugin: {
      parsedPath: () => ['tenant-a', 'llama-3-8b', 'infer'],
      parsedQuery: () => ({}),
      parsedBody: () => null,
      truncatedBody: () => false,
    },
    ...parts,
  };
}

/** A generation whose entrypoints answer the given values, or what the given functions return. */
export function generation(
  entrypoints: { readonly [name: string]: unknown },
  parts: Partial<Generation> = {},
): Generation {
  const evaluate: Generation['evaluateText'] & Generation['evaluate'] = (entrypoint: string, input, at) => {
    const answer = entrypoints[entrypoint];
    return { value: typeof answer === 'function' ? answer(input, at) : answer, overBudget: false };
  };
  return {
    number: 1,
    revisions: new Map([['authz', 'r1']]),
    inspect: () => inspected(),
    evaluate,
    evaluateText: evaluate,
    inputPaths: () => [],
    isPolicyConstant: () => true,
    ...parts,
  };
}

export const NAMED: NamedDecision = {
  name: 'default',
  decision: 'authz/decision',
  limits: 'authz/limits',
  result: 'sallyport',
};

/** The core with fakes of its own ports: a verified caller, no store, a clock that stands still. */
export function core(parts: Partial<AuthorizePorts> = {}): {
  readonly ports: AuthorizePorts;
  readonly authorize: ReturnType<typeof createAuthorize>;
} {
  const ports: AuthorizePorts = {
    clock: { now: () => ({ epochMs: 1_800_000_000_000, monotonicMs: 1_000 }) },
    startTimer: () => () => undefined,
    newDecisionId: () => 'decision-1',
    authenticate: () => verified(),
    refusals: { isRepeated: () => false, count: () => undefined },
    clientIp: (request) => request.sourceAddress,
    currentGeneration: () => generation({ 'authz/decision': { allow: true }, 'authz/limits': [] }),
    quota: {
      take: () => ({ kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: {} } }),
    },
    decisions: new Map([['default', NAMED]]),
    allowRedirects: false,
    exposeCredentials: false,
    digest: (text) => `sha256:${text.length}`,
    maxWaitMs: 1_000,
    ...parts,
  };
  return { ports, authorize: createAuthorize(ports) };
}
