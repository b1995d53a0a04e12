import { describe, expect, test } from 'vitest';
import type { ChargeTerms } from '../../../src/decision/charge-terms.ts';
import { deny } from '../../../src/decision/decision.ts';
import { MAX_EVENT_BYTES, toTimestamp } from '../../../src/decision-log/event.ts';
import { accessRequest, generation, inspected, NAMED, tenantA } from '../../support/core.ts';
import { eventOf, lineOf } from '../../support/events.ts';
import { allowOutcome, denyOutcome, withConstants } from '../../support/outcome.ts';

test('an allow has OPA’s fields, ours, and only what the default lists name', () => {
  expect(eventOf(allowOutcome({ principal: { ...tenantA, demo: true, keyId: 'k1' } }))).toEqual({
    decision_id: 'decision-1',
    sequence: 17,
    instance_id: 'instance-1',
    timestamp: '2026-11-02T12:00:00.000500000Z',
    labels: { region: 'eu-1' },
    bundles: { authz: { revision: 'r1' } },
    path: 'authz/decision',
    decision_name: 'default',
    door: 'ext_authz_grpc',
    decision: 'allow',
    reasons: [],
    demo: true,
    request_id: 'request-1',
    trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
    span_id: '00000000000000aa',
    parent_span_id: '00f067aa0ba902b7',
    input: {
      request: {
        method: 'POST',
        path: '/tenant-a/llama-3-8b/infer',
        host: 'gateway.test',
        size: { known: true, bytes: 2 },
      },
      route: { name: 'infer', tenant: 'tenant-a', model: 'llama-3-8b', operation: 'infer' },
      identity: {
        kind: 'jwt',
        subject: 'alice',
        issuer: 'https://issuer.test',
        tenant: 'tenant-a',
        tier: 'premium',
        roles: ['analyst'],
        key_id: 'k1',
      },
      network: { client_ip: '192.0.2.1' },
      inference: { model: 'llama-3-8b', stream: false, max_tokens: 100 },
      quota: { plan: 0, taken: true },
    },
    result: { allow: true, reasons: [] },
    erased: [],
    masked: [],
    metrics: {
      timer_identify_ns: 10_000,
      timer_inspect_ns: 20_000,
      timer_meter_ns: 30_000,
      timer_rego_query_eval_ns: 40_000,
      timer_server_handler_ns: 100_000,
    },
  });
});

test('a denial has its code, status, reasons and cause', () => {
  const event = eventOf(
    denyOutcome('policy_denied', {
      reasons: ['tenant mismatch'],
      result: { allow: false, reasons: ['tenant mismatch'], status: 403 },
      overBudget: true,
    }),
  );
  expect(event).toMatchObject({
    decision: 'deny',
    code: 'policy_denied',
    status: 403,
    reasons: ['tenant mismatch'],
    result: { allow: false, reasons: ['tenant mismatch'], status: 403 },
    metrics: { counter_policy_budget_overruns: 1 },
  });
  expect(event).not.toHaveProperty('demo');
  expect(event).not.toHaveProperty('error');
  expect(eventOf(denyOutcome('payload_too_large', { cause: '2,000,000 bytes on the route `infer`' })).error).toEqual({
    code: 'payload_too_large',
    message: '2,000,000 bytes on the route `infer`',
  });
});

test('an unreadable request is an event too', () => {
  const {
    principal: _,
    inspected: __,
    named: ___,
    quota: ____,
    ...rest
  } = denyOutcome('malformed_request', {
    cause: 'the message has no `http` block',
    request: {
      door: 'ext_authz_grpc',
      unreadable: { code: 'malformed_request', cause: 'the message has no `http` block' },
      requestId: 'request-2',
    },
  });
  expect(eventOf(rest)).toMatchObject({
    door: 'ext_authz_grpc',
    decision: 'deny',
    code: 'malformed_request',
    request_id: 'request-2',
    input: { identity: { kind: 'anonymous', roles: [] } },
    error: { code: 'malformed_request', message: 'the message has no `http` block' },
  });
});

test('a request that was refused before its path was known shows its raw path, never its query', () => {
  const { inspected: _, ...denied } = denyOutcome('invalid_credential');
  const rawPath = (target: string): unknown =>
    (eventOf({ ...denied, request: accessRequest({ target }) }).input['request'] as { raw_path?: string }).raw_path;
  expect(rawPath('/a/%2e%2e/b?token=canary')).toBe('/a/%2e%2e/b');
  expect(rawPath('/a%3Ftoken=canary')).toBe('/a');
  expect(rawPath('/a%253ftoken=canary')).toBe('/a');
  expect(rawPath('/a;token=canary')).toBe('/a');
  expect(rawPath('/a#token=canary')).toBe('/a');
  expect(rawPath('http://user:canary@host/a')).toBeUndefined();
});

test('a boolean verdict is logged as it is', () => {
  expect(eventOf(allowOutcome({ result: true, named: { ...NAMED, result: 'opa-envoy' } })).result).toBe(true);
});

describe('timestamps', () => {
  test.each([
    [0, '1970-01-01T00:00:00.000000000Z'],
    [1_793_620_800_000, '2026-11-02T12:00:00.000000000Z'],
    [1_793_620_800_123.25, '2026-11-02T12:00:00.123250000Z'],
    [1_793_620_800_999.9998, '2026-11-02T12:00:00.999999755Z'],
    [-0.5, '1969-12-31T23:59:59.999500000Z'],
  ])('%d ms is %s', (epochMs, text) => {
    expect(toTimestamp(epochMs)).toBe(text);
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  });
});

describe('the allow-list', () => {
  test('keeps what it names and nothing else', () => {
    const event = eventOf(allowOutcome(), { input: ['request.method', 'identity.roles'], result: ['allow'] });
    expect(event.input).toEqual({ request: { method: 'POST' }, identity: { roles: ['analyst'] } });
    expect(event.result).toEqual({ allow: true });
  });

  test('empty lists log neither input nor result', () => {
    const event = eventOf(allowOutcome(), { input: [], result: [] });
    expect(event.input).toEqual({});
    expect(event.result).toEqual({});
  });

  test('a section named whole still has no claims', () => {
    const claims = { email: 'canary@example.test' };
    for (const path of ['identity', 'identity.*']) {
      const line = lineOf(allowOutcome({ principal: { ...tenantA, claims } }), { input: [path] });
      expect(line).toContain('"subject":"alice"');
      expect(line).not.toContain('canary');
    }
  });

  test('a wildcard within keeps one member of each', () => {
    const limit = {
      kind: 'rate',
      unit: 'requests',
      limit: 10,
      remaining: 3,
      held: 0,
      wait_ms: 0,
      reset_ms: 5,
      exceeded: false,
      shadow: false,
      verified: true,
    };
    const event = eventOf(
      allowOutcome({
        quota: { plan: 0, taken: true, limits: { a: limit, b: limit } },
        generation: withConstants('a', 'b'),
      }),
      { input: ['quota.limits.*.remaining'] },
    );
    expect(event.input['quota']).toEqual({ limits: { a: { remaining: 3 }, b: { remaining: 3 } } });
  });
});

describe('what a policy made', () => {
  test('a reason that is no constant is logged by its length only', () => {
    const event = eventOf(
      denyOutcome('policy_denied', {
        reasons: ['tenant mismatch', 'secret canary'],
        result: { allow: false, reasons: ['secret canary'] },
      }),
    );
    expect(event.reasons).toEqual(['tenant mismatch', 'dynamic:13']);
    expect(event.result).toEqual({ allow: false, reasons: ['dynamic:13'] });
    expect(event.erased).toEqual(['/result/reasons/0', '/reasons/1']);
  });

  test('of header maps only names are logged, and only constant ones', () => {
    const event = eventOf(
      allowOutcome({
        result: {
          allow: true,
          headers: { 'x-tier': 'canary', canary: '1' },
          response_headers: { 'x-tier': ['canary'] },
        },
        generation: withConstants('x-tier'),
      }),
    );
    expect(event.result).toEqual({ allow: true, headers: ['x-tier', 'dynamic:6'], response_headers: ['x-tier'] });
    expect(event.erased).toEqual(['/result/headers']);
  });

  test('members with a meaning are logged with the type of that meaning only', () => {
    const event = eventOf(
      denyOutcome('invalid_verdict', {
        result: {
          allow: 'canary',
          allowed: ['canary'],
          status: 4_929_123_412_341_234,
          reasons: 'canary',
          headers: 'canary',
        },
      }),
    );
    expect(event.result).toEqual({});
    expect(event.erased).toEqual([
      '/result/allow',
      '/result/allowed',
      '/result/status',
      '/result/reasons',
      '/result/headers',
    ]);
  });

  test('members that config adds show constants, numbers and booleans', () => {
    const event = eventOf(
      allowOutcome({
        result: { allow: true, metadata: { tier: 'gold', who: 'canary', count: 3, canary: 1, deep: [true, 'gold'] } },
        generation: withConstants('tier', 'gold', 'who', 'count', 'deep'),
      }),
      { result: ['metadata'] },
    );
    expect(event.result).toEqual({ metadata: { tier: 'gold', who: 'dynamic:6', count: 3, deep: [true, 'gold'] } });
    expect(event.erased).toEqual(['/result/metadata/who', '/result/metadata']);
  });

  test('names and units of limits are logged when they are constants or required by the route', () => {
    const limit = { limit: 1, remaining: 1, held: 0, wait_ms: 0, reset_ms: 0, exceeded: false, shadow: false };
    const event = eventOf(
      allowOutcome({
        inspected: inspected({ route: { name: 'infer', params: {}, requiredLimits: ['per-tenant'] } }),
        quota: {
          taken: false,
          limits: {
            'per-tenant': { ...limit, kind: 'rate', unit: 'canary', verified: true },
            canary: { ...limit, kind: 'canary', unit: 'canary', verified: true },
          },
        },
      }),
    );
    expect(JSON.stringify(event)).not.toContain('canary');
    expect(event.input['quota']).toEqual({
      taken: false,
      limits: { 'per-tenant': { ...limit, kind: 'rate', verified: true } },
    });
  });

  test.each(['policy_error', 'invalid_verdict', 'internal'] as const)(
    'a cause of %s that repeats the body or the query is not logged',
    (code) => {
      const bytes = Buffer.from(JSON.stringify({ prompt: 'my secret canary prompt' }));
      const request = accessRequest({ target: '/a?q=the+query+canary+too', body: { bytes, complete: true } });
      for (const quoted of ['my secret canary prompt', 'q=the+query+canary+too']) {
        const event = eventOf(denyOutcome(code, { request, cause: `to_number: cannot read "${quoted}"` }));
        expect(event.error).toEqual({ code, message: 'the cause repeats what the caller sent' });
        expect(event.erased).toContain('/error/message');
      }
      const plain = eventOf(denyOutcome(code, { request, cause: 'to_number: not a number' }));
      expect(plain.error?.message).toBe('to_number: not a number');
    },
  );

  test.each([
    ['invalid_verdict', 'the verdict has the unknown key `4c6f72656d`', 'the verdict has the unknown key `dynamic:10`'],
    ['invalid_verdict', 'the verdict has the unknown key `reasons2`', 'the verdict has the unknown key `dynamic:8`'],
    ['invalid_verdict', 'the verdict has the unknown key `x-tier`', undefined],
    ['invalid_verdict', '`remove_headers` is not a list of texts', undefined],
    ['invalid_charges', 'a charge has the unknown key `dGVuYW50`', 'a charge has the unknown key `dynamic:8`'],
    ['invalid_charges', '`limits` is neither a set of charges nor an object with `plans`', undefined],
    ['invalid_charges', '`weights.cached` is above 1000', undefined],
    ['invalid_charges', 'a reserve of `nano_usd` needs `prices` to be settled by', undefined],
    [
      'invalid_charges',
      '`key` names `c2VjcmV0`, which is no dimension',
      '`key` names `dynamic:8`, which is no dimension',
    ],
    [
      'unsupported_by_door',
      'the door `ext_authz_grpc` does not list `x-4c6f72` among its `upstream_headers`',
      'the door `ext_authz_grpc` does not list `dynamic:8` among its `upstream_headers`',
    ],
  ] as const)('a cause of %s names only what the policy has as a constant: %s', (code, cause, wanted) => {
    const event = eventOf(denyOutcome(code, { cause, generation: withConstants('x-tier') }));
    expect(event.error).toEqual({ code, message: wanted ?? cause });
    expect(event.erased.includes('/error/message')).toBe(wanted !== undefined);
  });

  test('without a generation nothing passes for a constant', () => {
    const { generation: _, ...denied } = denyOutcome('no_bundle', { reasons: ['canary'] });
    expect(eventOf(denied)).toMatchObject({ bundles: {}, reasons: ['dynamic:6'] });
  });
});

describe('bounds', () => {
  test('long texts are cut, with a mark', () => {
    const path = `/${'é'.repeat(5_000)}`;
    const event = eventOf(
      allowOutcome({
        principal: { ...tenantA, subject: 's'.repeat(10_000), roles: Array.from({ length: 100 }, (_, i) => `r${i}`) },
        inspected: inspected({ path, host: 'h'.repeat(10_000) }),
      }),
    );
    const { request, identity } = event.input as {
      request: { path: string; host: string };
      identity: { roles: string[]; subject: string };
    };
    expect(request.path).toHaveLength(512);
    expect(request.path.endsWith('…')).toBe(true);
    expect(request.host).toHaveLength(256);
    expect(identity.subject).toHaveLength(256);
    expect(identity.roles).toHaveLength(32);
    expect(event.erased).toEqual(['/input/identity/roles/32']);
  });

  test('an event that is too long all the same goes without what callers filled', () => {
    const params = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`p${i}`, '\u0000'.repeat(256)]));
    const line = lineOf(
      allowOutcome({ inspected: inspected({ route: { name: 'infer', params, requiredLimits: [] } }) }),
    );
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(MAX_EVENT_BYTES);
    expect(JSON.parse(line)).toMatchObject({
      decision_id: 'decision-1',
      sequence: 17,
      input: {},
      erased: ['/labels', '/reasons', '/input', '/result'],
    });
  });

  test('what splits lines or hides text is escaped', () => {
    const path = '/a\u2028b\u2029c\u0085d\u009b2Je\u202ef\n\r\u0000g\ud800';
    const line = lineOf(allowOutcome({ inspected: inspected({ path }) }));
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029\u202e]/u);
    expect(JSON.parse(line).input.request.path).toBe(path.toWellFormed());
  });

  test('names such as `__proto__` are members like any other', () => {
    const params = JSON.parse('{"__proto__": "a", "constructor": "b"}');
    const line = lineOf(
      allowOutcome({
        inspected: inspected({ route: { name: 'infer', params, requiredLimits: [] } }),
        generation: generation({}, { revisions: new Map([['__proto__', 'r1']]) }),
      }),
    );
    expect(line).toContain('"params":{"__proto__":"a","constructor":"b"}');
    expect(line).toContain('"bundles":{"__proto__":{"revision":"r1"}}');
  });
});

describe('an observed denial', () => {
  test('is in the event of the Allow that stands in for it, with constants of the policy only', () => {
    const observed = deny('policy_denied', { reasons: ['tenant mismatch', 'made of alice'] });
    const event = eventOf(allowOutcome({ observed }));
    expect(event).toMatchObject({
      decision: 'allow',
      observed: { code: 'policy_denied', status: 403, reasons: ['tenant mismatch', 'dynamic:13'] },
    });
    expect(event.erased).toContain('/observed/reasons/1');
  });
});

const REQUESTS: ChargeTerms = {
  name: 'requests',
  dimensions: ['principal'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  burst: 10,
  cost: 1,
  periodSeconds: 60,
  mode: 'enforce',
  onFailure: 'deny',
  charge: 'admitted',
  scope: 'tenant',
};

describe('charges', () => {
  const terms = { ...REQUESTS, name: 'requests' };
  const generation = withConstants('requests');

  test('name what was asked for, and the plan that was taken', () => {
    const plans = [[{ terms, key: ['k'] }], [{ terms: { ...terms, cost: 3 }, key: ['k'] }]];
    const quota = { plan: 1, taken: true, limits: {} };
    const of = { unit: 'requests', kind: 'rate', limit: 10, name: 'requests' };
    expect(eventOf(allowOutcome({ plans, quota, generation })).charges).toEqual({
      plan: 1,
      plans: [[{ ...of, cost: 1 }], [{ ...of, cost: 3 }]],
    });
    expect(eventOf(allowOutcome({ plans, quota, generation }), { input: ['request'] })).not.toHaveProperty('charges');
  });

  test('are left out where a name is none of the policy’s, or where they are long', () => {
    const made = [[{ terms: { ...terms, name: 'alice' }, key: [] }]];
    expect(eventOf(allowOutcome({ plans: made, generation }))).not.toHaveProperty('charges');
    const long = Array.from({ length: 8 }, () => Array.from({ length: 16 }, () => ({ terms, key: [] })));
    expect(eventOf(allowOutcome({ plans: long, generation }))).not.toHaveProperty('charges');
  });
});
