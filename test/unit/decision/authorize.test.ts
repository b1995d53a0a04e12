import { describe, expect, test } from 'vitest';
import type { QuotaState, TakeRequest, TakeResult } from '../../../src/decision/charges.ts';
import { principalKey } from '../../../src/decision/charges.ts';
import { CLIENT_ANSWERS, RequestFault } from '../../../src/decision/errors.ts';
import type { InspectionRefused, Quota } from '../../../src/decision/ports.ts';
import type { Authentication } from '../../../src/decision/principal.ts';
import {
  accessRequest,
  anonymous,
  core,
  generation,
  inferRoute,
  inspected,
  NAMED,
  tenantA,
  verified,
} from '../../support/core.ts';

const allowing = { 'authz/decision': { allow: true }, 'authz/limits': [] };
const requestCharge = {
  name: 'requests',
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 1,
  cost: 1,
  scope: 'tenant',
};

const requestState = {
  kind: 'rate',
  unit: 'requests',
  limit: 10,
  remaining: 9,
  held: 0,
  wait_ms: 0,
  reset_ms: 100,
  exceeded: false,
  shadow: false,
  verified: true,
};

/** A quota that answers as told and remembers what was given back. */
function quota(answer: (taken: Taken) => ReturnType<Quota['take']>): Quota & { readonly released: readonly string[] } {
  const released: string[] = [];
  const taken: Taken = (id, limits = {}) => ({
    kind: 'taken',
    take: { reservationId: id, release: () => void released.push(id) },
    state: { plan: 0, taken: true, limits },
  });
  return { released, take: () => answer(taken) };
}

type Taken = (id: string, limits?: QuotaState['limits']) => TakeResult;

/** Runs timers of 0 ms at once, so that what happens after the reply can be seen. */
const soon = (delayMs: number, late: () => void) => {
  if (delayMs === 0) late();
  return () => undefined;
};

describe('the way of a request', () => {
  test('allows what the policy allows, and names revision, principal and route', async () => {
    const outcome = await core().authorize(accessRequest());
    expect(outcome).toMatchObject({
      decisionId: 'decision-1',
      decision: { kind: 'allow' },
      principal: { subject: 'alice' },
      inspected: { route: { name: 'infer' } },
      result: { allow: true },
    });
    expect(outcome.generation?.revisions.get('authz')).toBe('r1');
  });

  test('without a bundle is a Deny `no_bundle`', async () => {
    const { authorize } = core({ currentGeneration: () => undefined });
    expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code: 'no_bundle', status: 503 });
  });

  test('what a door could not read is denied with its code and cause', async () => {
    const outcome = await core().authorize({
      door: 'test',
      unreadable: { code: 'malformed_request', cause: 'no http block' },
    });
    expect(outcome).toMatchObject({
      decision: { kind: 'deny', code: 'malformed_request', status: 400 },
      cause: 'no http block',
    });
  });

  test('a refused credential ends it: neither inspection nor policy is asked', async () => {
    const fail = () => {
      throw new Error('asked');
    };
    const { authorize } = core({
      authenticate: () => ({
        kind: 'refused',
        code: 'invalid_credential',
        cause: 'the token has expired',
        challenge: 'Bearer error="invalid_token"',
      }),
      currentGeneration: () => generation({}, { inspect: fail, evaluate: fail }),
    });
    expect(await authorize(accessRequest())).toMatchObject({
      decision: {
        kind: 'deny',
        code: 'invalid_credential',
        status: 401,
        headers: [['www-authenticate', 'Bearer error="invalid_token"']],
      },
      cause: 'the token has expired',
    });
  });

  test('an answer that is none is a Deny `internal`, never an anonymous request or a plan that was taken', async () => {
    // What a port written elsewhere might answer against its type: a promise of another library.
    const strange = { kind: undefined, state: { taken: false, limits: {} } } as never;
    const { authorize } = core({ authenticate: () => strange });
    expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code: 'internal' });
    const metered = core({ quota: quota(() => strange) });
    expect((await metered.authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code: 'internal' });
  });

  test.each(['unknown_route', 'method_not_declared', 'payload_too_large', 'payload_size_unknown'] as const)(
    '%s: the anonymous get the same answer as on every path, others the one that fits',
    async (code) => {
      const refused: InspectionRefused = {
        kind: 'refused',
        code,
        cause: 'x',
        dependsOnRoute: true,
        headers: [['allow', 'POST']],
      };
      const currentGeneration = () => generation(allowing, { inspect: () => refused });
      const known = await core({ currentGeneration }).authorize(accessRequest());
      expect(known.decision).toMatchObject({ code, ...CLIENT_ANSWERS[code], headers: [['allow', 'POST']] });
      const unknown = await core({ currentGeneration, authenticate: () => anonymous }).authorize(accessRequest());
      expect(unknown.decision).toMatchObject({ code, status: 401, reason: 'unauthenticated', headers: [] });
    },
  );

  test('a malformed request is 400 for the anonymous too', async () => {
    const refused: InspectionRefused = { kind: 'refused', code: 'ambiguous_path', cause: 'x', dependsOnRoute: false };
    const currentGeneration = () => generation(allowing, { inspect: () => refused });
    const { authorize } = core({ currentGeneration, authenticate: () => anonymous });
    expect((await authorize(accessRequest())).decision).toMatchObject({ code: 'ambiguous_path', status: 400 });
  });

  test.each([
    [
      'inspection',
      {
        inspect: () => {
          throw new Error('boom');
        },
      },
      'internal',
    ],
    [
      'the engine',
      {
        evaluate: () => {
          throw new Error('boom');
        },
      },
      'internal',
    ],
    [
      'the engine, with a known fault',
      {
        evaluate: () => {
          throw new RequestFault('policy_error', 'boom');
        },
      },
      'policy_error',
    ],
    [
      'the engine, with a text',
      {
        evaluate: () => {
          throw 'boom';
        },
      },
      'internal',
    ],
  ] as const)('a throw in %s is a Deny', async (_name, parts, code) => {
    const { authorize } = core({ currentGeneration: () => generation(allowing, parts) });
    expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code, status: 503 });
  });

  test('a rejection of identity is a Deny', async () => {
    const { authorize } = core({ authenticate: () => Promise.reject(new Error('boom')) });
    expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code: 'internal' });
  });

  test('a generation that is swapped between `limits` and `decision` does not change the request', async () => {
    let current = generation({ 'authz/decision': { allow: true }, 'authz/limits': [] });
    const first = current;
    const { authorize } = core({
      currentGeneration: () => current,
      quota: quota(async (taken) => {
        current = generation({ 'authz/decision': { allow: false }, 'authz/limits': [] }, { number: 2 });
        return taken('t');
      }),
    });
    const outcome = await authorize(accessRequest());
    expect(outcome.decision.kind).toBe('allow');
    expect(outcome.generation).toBe(first);
  });
});

describe('a named decision', () => {
  const legacy = { name: 'legacy', decision: 'envoy/authz/allow', result: 'opa-envoy' } as const;
  const decisions = new Map([
    ['default', NAMED],
    ['legacy', legacy],
  ] as const);
  const currentGeneration = () => generation({ ...allowing, 'envoy/authz/allow': false });

  test('is picked by the context extension', async () => {
    const contextExtensions = new Map([['sallyport.decision', 'legacy']]);
    const outcome = await core({ decisions, currentGeneration }).authorize(accessRequest({ contextExtensions }));
    expect(outcome).toMatchObject({ named: legacy, decision: { kind: 'deny', code: 'policy_denied' } });
  });

  test.each(['unknown', '__proto__', ''])('%j that config does not name is a Deny', async (name) => {
    const contextExtensions = new Map([['sallyport.decision', name]]);
    const outcome = await core({ decisions, currentGeneration }).authorize(accessRequest({ contextExtensions }));
    expect(outcome.decision).toMatchObject({ kind: 'deny', code: 'unknown_decision' });
  });
});

describe('metering', () => {
  const limits =
    (value: unknown, decision: unknown = { allow: true }) =>
    () =>
      generation({ 'authz/limits': value, 'authz/decision': decision });

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['an object', {}],
    ['a text', 'none'],
    ['a charge with a key that nobody knows', [{ ...requestCharge, costs: 1 }]],
    ['a charge without a scope', [{ ...requestCharge, scope: undefined }]],
    ['a charge on a dimension that is not verified', [{ ...requestCharge, key: ['key_id'] }]],
    ['two charges of one name', [requestCharge, { ...requestCharge, limit: 3 }]],
    ['seventeen charges', Array.from({ length: 17 }, (_, n) => ({ ...requestCharge, name: `n${n}` }))],
    ['a negative cost', [{ ...requestCharge, cost: -1 }]],
    ['a limit beyond 2^53 - 1', [{ ...requestCharge, limit: 2 ** 53 }]],
    ['no plan at all', { plans: [] }],
  ])('`limits` that is %s is a Deny `invalid_charges`', async (_name, value) => {
    const { authorize } = core({ currentGeneration: limits(value) });
    expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code: 'invalid_charges' });
  });

  test('the anonymous cannot be charged as a tenant', async () => {
    const { authorize } = core({ currentGeneration: limits([requestCharge]), authenticate: () => anonymous });
    expect((await authorize(accessRequest())).decision).toMatchObject({ code: 'invalid_charges' });
  });

  test('a limit that the route requires and the policy forgets is a Deny `quota_missing`', async () => {
    const route = { ...inferRoute, requiredLimits: ['requests'] };
    let stated: QuotaState['limits'] = { requests: requestState };
    const answer = (value: unknown) =>
      core({
        currentGeneration: () =>
          generation(
            { 'authz/limits': value, 'authz/decision': { allow: true } },
            { inspect: () => inspected({ route }) },
          ),
        quota: quota((taken) => taken('t-1', stated)),
      }).authorize(accessRequest());
    expect((await answer([])).decision).toMatchObject({ kind: 'deny', code: 'quota_missing' });
    expect((await answer({ plans: [[requestCharge], []] })).decision).toMatchObject({ code: 'quota_missing' });
    expect((await answer([requestCharge])).decision).toMatchObject({ kind: 'allow' });
    // A store that says it took the plan and nothing of the limit.
    stated = {};
    expect((await answer([requestCharge])).decision).toMatchObject({ kind: 'deny', code: 'quota_unavailable' });
  });

  test.each([
    ['exceeded', { kind: 'exceeded', retryMs: 1_500 }, 'quota_exceeded', 429, 'quota_exceeded'],
    ['too large for any limit', { kind: 'exceeded' }, 'cost_exceeds_limit', 429, 'quota_exceeded'],
    ['unavailable', { kind: 'unavailable', cause: 'down' }, 'quota_unavailable', 503, 'unavailable'],
    [
      'not asked for, because this process is too busy',
      { kind: 'unavailable', cause: 'down', overloaded: true },
      'overloaded',
      503,
      'unavailable',
    ],
  ] as const)('a plan that is %s denies whatever the decision says', async (_what, answer, code, status, reason) => {
    const route = { ...inferRoute, requiredLimits: ['requests'] };
    const seen: unknown[] = [];
    const currentGeneration = () =>
      generation(
        {
          'authz/limits': [requestCharge],
          'authz/decision': (input: { quota: () => unknown }) => {
            seen.push(input.quota());
            return { allow: true };
          },
        },
        { inspect: () => inspected({ route }) },
      );
    const { authorize } = core({
      currentGeneration,
      quota: quota(() => ({ ...answer, state: { taken: false, limits: {} } })),
    });
    expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code, status, reason });
    expect(seen).toMatchObject([{ taken: false, limits: { requests: { verified: false, exceeded: true } } }]);
  });

  test('a denying decision shapes the refusal but does not lift it', async () => {
    const headers = { 'x-plan': 'upgrade', 'retry-after': '0' };
    const shape = { allow: false, status: 402, headers, body: 'buy more' };
    const { authorize } = core({
      currentGeneration: limits([requestCharge], shape),
      quota: quota(() => ({ kind: 'exceeded', retryMs: 1_500, state: { taken: false, limits: {} } })),
    });
    expect((await authorize(accessRequest())).decision).toMatchObject({
      code: 'quota_exceeded',
      status: 429,
      headers: [
        ['x-plan', 'upgrade'],
        ['retry-after', '2'],
        ['retry-after-ms', '1500'],
      ],
      body: 'buy more',
    });
  });

  test('a route that requires limits is denied by a decision that has none', async () => {
    const route = { ...inferRoute, requiredLimits: ['requests'] };
    const { limits: _none, ...named } = NAMED;
    const asked = (parts: Partial<typeof route>) =>
      core({
        decisions: new Map([['default', named]]),
        currentGeneration: () =>
          generation(
            { 'authz/decision': { allow: true } },
            { inspect: () => inspected({ route: { ...route, ...parts } }) },
          ),
      }).authorize(accessRequest());
    expect((await asked({})).decision).toMatchObject({ kind: 'deny', code: 'quota_missing' });
    expect((await asked({ requiredLimits: [] })).decision).toMatchObject({ kind: 'allow' });
  });

  test.each([
    { what: 'costs nothing', charges: [{ cost: 0 }], asked: 0 },
    { what: 'costs something', charges: [{ cost: 1 }], asked: 1 },
    { what: 'costs something in part', charges: [{ cost: 0 }, { name: 'other', cost: 1 }], asked: 1 },
    { what: 'holds nothing', charges: [{ cost: 0, reserve: { ttl_seconds: 1 } }], asked: 1 },
  ])('what $what of an anonymous caller asks a store $asked times', async ({ charges, asked }) => {
    const route = { ...inferRoute, requiredLimits: ['requests'] };
    const plan = charges.map((parts) => ({ ...requestCharge, key: ['address'], ...parts }));
    let takes = 0;
    const authorize = (authenticate: () => Authentication) =>
      core({
        authenticate,
        currentGeneration: () =>
          generation(
            { 'authz/decision': { allow: true }, 'authz/limits': plan },
            { inspect: () => inspected({ route }) },
          ),
        quota: quota((taken) => {
          takes += 1;
          return taken('t-1', { requests: requestState });
        }),
      }).authorize(accessRequest());
    expect((await authorize(() => anonymous)).decision.kind).toBe('allow');
    expect(takes).toBe(asked);
    expect((await authorize(() => verified())).quota).toMatchObject({ limits: { requests: { verified: true } } });
  });

  test('the anonymous are not counted by the peer that carries them', async () => {
    const peer = { spiffeId: 'spiffe://example.org/gateway', trustDomain: 'example.org', dnsSans: [] };
    const { decision } = await core({
      authenticate: () => ({ ...anonymous, peer }),
      currentGeneration: limits([{ ...requestCharge, key: ['peer'] }]),
    }).authorize(accessRequest());
    expect(decision).toMatchObject({ code: 'invalid_charges' });
  });

  test.each([
    { kind: 'exceeded', retryMs: 1_500, code: 'quota_exceeded' },
    { kind: 'unavailable', cause: 'down', code: 'quota_unavailable' },
  ] as const)(
    'the anonymous whom the policy denies are not told that the quota is $kind',
    async ({ code, ...answer }) => {
      const charge = { ...requestCharge, key: ['address'] };
      const { decision } = await core({
        authenticate: () => anonymous,
        currentGeneration: limits([charge], { allow: false }),
        quota: quota(() => ({ ...answer, state: { taken: false, limits: {} } })),
      }).authorize(accessRequest());
      expect(decision).toMatchObject({ kind: 'deny', code, status: 401, reason: 'unauthenticated', headers: [] });
      const allowed = await core({
        authenticate: () => anonymous,
        currentGeneration: limits([charge]),
        quota: quota(() => ({ ...answer, state: { taken: false, limits: {} } })),
      }).authorize(accessRequest());
      expect(allowed.decision).toMatchObject({ kind: 'deny', code });
      expect(allowed.decision).not.toMatchObject({ status: 401 });
    },
  );

  test('an Allow tells of the caller’s limits, over what the policy says under the same names', async () => {
    const verdict = {
      allow: true,
      response_headers: { ratelimit: 'mine', 'x-other': '1' },
      metadata: { plan: 'gold' },
    };
    const { decision } = await core({
      currentGeneration: limits([requestCharge], verdict),
      quota: quota((taken) => taken('t-1', { requests: requestState })),
    }).authorize(accessRequest());
    expect(decision).toMatchObject({
      kind: 'allow',
      reservationId: 't-1',
      metadata: { plan: 'gold', rate_limit: { requests_per_unit: 10, unit: 'SECOND' } },
      responseHeaders: [
        ['x-other', '1'],
        ['ratelimit-policy', '"requests";q=10;w=1;qu="requests"'],
        ['ratelimit', '"requests";r=9;t=1'],
        ['x-ratelimit-limit-requests', '10'],
        ['x-ratelimit-remaining-requests', '9'],
        ['x-ratelimit-reset-requests', '100ms'],
      ],
    });
  });

  test.each([
    { path: '/v1/chat/completions', openAi: true },
    { path: '/tenant-a/llama-3-8b/infer', openAi: false },
  ])('a refusal names the limits that the caller may know: $path', async ({ path, openAi }) => {
    const exceeded = { ...requestState, remaining: 0, exceeded: true, wait_ms: 90 };
    const { decision } = await core({
      currentGeneration: () =>
        generation(
          { 'authz/limits': [requestCharge], 'authz/decision': { allow: true } },
          { inspect: () => inspected({ path }) },
        ),
      quota: quota(() => ({ kind: 'exceeded', retryMs: 90, state: { taken: false, limits: { requests: exceeded } } })),
    }).authorize(accessRequest());
    expect(decision).toMatchObject({ code: 'quota_exceeded', exceeded: { violated: ['requests'], openAi } });
  });

  test.each([
    ['denies', { allow: false }],
    ['is no verdict', 'nonsense'],
  ])('what was taken is given back when the decision %s', async (_name, decision) => {
    const store = quota((taken) => taken('t-1'));
    const { authorize } = core({
      currentGeneration: limits([requestCharge], decision),
      quota: store,
      startTimer: soon,
    });
    expect((await authorize(accessRequest())).decision.kind).toBe('deny');
    expect(store.released).toEqual(['t-1']);
  });

  test('what was taken is kept when the decision allows, and the outcome names what is held', async () => {
    const store = quota((taken) => taken('t-1'));
    const { authorize } = core({ currentGeneration: limits([requestCharge]), quota: store, startTimer: soon });
    expect(await authorize(accessRequest())).toMatchObject({
      decision: { kind: 'allow' },
      reservationId: 't-1',
      plans: [[{ terms: { name: 'requests' }, key: ['tenant-a'] }]],
    });
    expect(store.released).toEqual([]);
  });

  test.each([
    ['a principal', verified(), { tenant: 'tenant-a', holder: principalKey(tenantA) }],
    ['the anonymous', anonymous, { tenant: '', holder: '192.0.2.1' }],
  ])('%s is charged by a name of his own', async (_who, authentication, wanted) => {
    const asked: TakeRequest[] = [];
    const { authorize } = core({
      authenticate: () => authentication,
      currentGeneration: limits([{ ...requestCharge, key: ['address'] }]),
      quota: {
        take: (request) => {
          asked.push(request);
          return { kind: 'exceeded', state: { taken: false, limits: {} } };
        },
      },
    });
    await authorize(accessRequest());
    expect(asked).toMatchObject([{ ...wanted, model: 'llama-3-8b', plans: [[{ key: ['192.0.2.1'] }]] }]);
  });
});

describe('the deadline', () => {
  test('passed while identity waits is a Deny `deadline`', async () => {
    const { authorize } = core({
      authenticate: () => new Promise(() => undefined),
      startTimer: (_delayMs, late) => {
        queueMicrotask(late);
        return () => undefined;
      },
    });
    expect((await authorize(accessRequest({ deadlineMs: 160 }))).decision).toMatchObject({
      kind: 'deny',
      code: 'deadline',
      status: 503,
    });
  });

  test('the shorter of the caller’s and our own is waited for', async () => {
    const delays: number[] = [];
    const startTimer = (delayMs: number, late: () => void) => {
      delays.push(delayMs);
      queueMicrotask(late);
      return () => undefined;
    };
    const { authorize } = core({ authenticate: () => new Promise(() => undefined), startTimer, maxWaitMs: 500 });
    await authorize(accessRequest({ deadlineMs: 160 }));
    await authorize(accessRequest({ deadlineMs: 60_000 }));
    await authorize(accessRequest());
    expect(delays).toEqual([160, 500, 500]);
  });

  test('an Allow that comes after it is a Deny, and its take is given back', async () => {
    let monotonicMs = 0;
    const store = quota((taken) => taken('t-1'));
    const { authorize } = core({
      clock: { now: () => ({ epochMs: 0, monotonicMs }) },
      quota: store,
      startTimer: soon,
      currentGeneration: () =>
        generation({
          'authz/limits': [requestCharge],
          'authz/decision': () => {
            monotonicMs = 161;
            return { allow: true };
          },
        }),
    });
    expect((await authorize(accessRequest({ deadlineMs: 160 }))).decision).toMatchObject({ code: 'deadline' });
    expect(store.released).toEqual(['t-1']);
  });

  test('a take that arrives after it is given back', async () => {
    let arrive: (() => void) | undefined;
    const store = quota(
      (taken) =>
        new Promise((resolve) => {
          arrive = () => resolve(taken('t-late'));
        }),
    );
    const { authorize } = core({
      currentGeneration: () => generation({ 'authz/limits': [requestCharge], 'authz/decision': { allow: true } }),
      quota: store,
      startTimer: (_delayMs, late) => {
        queueMicrotask(late);
        return () => undefined;
      },
    });
    expect((await authorize(accessRequest({ deadlineMs: 160 }))).decision).toMatchObject({ code: 'deadline' });
    arrive?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(store.released).toEqual(['t-late']);
  });
});

describe('what a door cannot carry out', () => {
  const narrow = { queryChanges: false, upstreamHeaders: new Set(['x-listed']) };
  test.each([
    ['a query change', { allow: true, query_set: { a: '1' } }, 'deny'],
    ['a query removal', { allow: true, query_remove: ['a'] }, 'deny'],
    ['an unlisted header', { allow: true, headers: { 'x-other': '1' } }, 'deny'],
    ['an upstream that is not listed', { allow: true, upstream: 'a' }, 'deny'],
    ['a response header of a listed name', { allow: true, response_headers: { 'x-listed': '1' } }, 'deny'],
    ['a response header', { allow: true, response_headers: { 'x-other': '1' } }, 'allow'],
    ['a listed header', { allow: true, headers: { 'X-Listed': '1' } }, 'allow'],
    ['a removal', { allow: true, remove_headers: ['x-other'] }, 'allow'],
  ])('%s', async (_name, verdict, kind) => {
    const { authorize } = core({
      currentGeneration: () => generation({ 'authz/limits': [], 'authz/decision': verdict }),
    });
    const { decision } = await authorize(accessRequest({ capabilities: narrow }));
    expect(decision).toMatchObject(kind === 'allow' ? { kind } : { kind, code: 'unsupported_by_door' });
  });
});

describe('a verified credential', () => {
  const token = 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln';
  const principal = {
    ...tenantA,
    credentials: [{ kind: 'jwt', header: 'authorization', presented: `Bearer ${token}` }],
  } as const;
  const attributes = () => ({
    request: {
      http: {
        headers: { authorization: `Bearer ${token}`, 'x-copy': `again ${token}`, 'x-other': 'plain' },
        headerMap: { headers: [{ key: 'Authorization', rawValue: Buffer.from(`Bearer ${token}`).toString('base64') }] },
      },
    },
  });
  const read = async (exposeCredentials: boolean, result: 'sallyport' | 'opa-envoy') => {
    let seen: unknown;
    const { authorize } = core({
      exposeCredentials,
      authenticate: () => verified(principal),
      decisions: new Map([['default', { ...NAMED, result }]]),
      currentGeneration: () =>
        generation({
          'authz/limits': [],
          'authz/decision': (input: { attributes: () => unknown }) => {
            seen = input.attributes();
            return false;
          },
        }),
    });
    await authorize(accessRequest({ attributes }));
    return JSON.stringify(seen);
  };

  test('stands in `input` as a digest only', async () => {
    const seen = await read(false, 'opa-envoy');
    expect(seen).not.toContain(token);
    expect(seen).not.toContain(Buffer.from(`Bearer ${token}`).toString('base64'));
    expect(seen).toContain('sha256:');
    expect(seen).toContain('plain');
  });

  test('stays readable only for an `opa-envoy` decision where config exposes it', async () => {
    expect(await read(true, 'opa-envoy')).toContain(token);
    expect(await read(true, 'sallyport')).not.toContain(token);
  });
});
