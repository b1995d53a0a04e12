import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Allow, type Decision, parseVerdict, type VerdictContext } from '../../../src/decision/decision.ts';
import { isEnvoyStatus } from '../../../src/decision/status.ts';

const context: VerdictContext = {
  shape: 'sallyport',
  allowRedirects: false,
  anonymous: false,
  owned: { decisionId: 'd-1', tenant: 'tenant-a', roles: ['analyst', 'admin'] },
  stripHeaders: ['authorization'],
};

describe('a verdict of the shape `sallyport`', () => {
  test('that allows sets the owned headers and removes the credential and what it has no value for', () => {
    const decision = parseVerdict({ allow: true }, context);
    expect(Allow.is(decision)).toBe(true);
    expect(decision).toMatchObject({
      ownedHeaders: [
        ['x-sallyport-decision-id', 'd-1'],
        ['x-sallyport-tenant', 'tenant-a'],
        ['x-sallyport-role', 'analyst,admin'],
      ],
      removeHeaders: ['authorization', 'x-sallyport-upstream'],
    });
  });

  test('that allows an anonymous caller removes every owned header but the decision id', () => {
    const owned = { decisionId: 'd-1', tenant: undefined, roles: [] };
    expect(parseVerdict({ allow: true }, { ...context, anonymous: true, owned })).toMatchObject({
      ownedHeaders: [['x-sallyport-decision-id', 'd-1']],
      removeHeaders: ['authorization', 'x-sallyport-tenant', 'x-sallyport-role', 'x-sallyport-upstream'],
    });
  });

  test('that sets a header which is also to be removed replaces it', () => {
    const verdict = { allow: true, headers: { Authorization: 'Bearer upstream' }, remove_headers: ['x-debug'] };
    expect(parseVerdict(verdict, context)).toMatchObject({
      setHeaders: [['authorization', 'Bearer upstream']],
      removeHeaders: ['x-debug', 'x-sallyport-upstream'],
    });
  });

  test('carries headers, removals, query changes, upstream and metadata', () => {
    const decision = parseVerdict(
      {
        allow: true,
        reasons: ['tenant_matches'],
        headers: { 'X-Model': 'llama', 'x-many': ['1', '2'] },
        response_headers: [{ 'set-cookie': 'a=1' }, { 'set-cookie': 'b=2' }],
        remove_headers: ['X-Debug'],
        query_set: { a: '1 2', b: ['x', 'y'] },
        query_remove: ['z'],
        upstream: 'tenant-a-llama',
        metadata: { tier: 'premium' },
        obligations: [],
      },
      context,
    );
    expect(decision).toMatchObject({
      kind: 'allow',
      reasons: ['tenant_matches'],
      setHeaders: [
        ['x-model', 'llama'],
        ['x-many', '1'],
        ['x-many', '2'],
        ['x-sallyport-upstream', 'tenant-a-llama'],
      ],
      responseHeaders: [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
      removeHeaders: ['x-debug', 'authorization'],
      querySet: [
        ['a', '1 2'],
        ['b', 'x'],
        ['b', 'y'],
      ],
      queryRemove: ['z'],
      metadata: { tier: 'premium' },
    });
  });

  test.each([
    ['undefined', undefined, 'undefined_verdict'],
    ['null', null, 'invalid_verdict'],
    ['true', true, 'invalid_verdict'],
    ['a text', 'allow', 'invalid_verdict'],
    ['a number', 1, 'invalid_verdict'],
    ['a list', [{ allow: true }], 'invalid_verdict'],
    ['an empty object', {}, 'invalid_verdict'],
    ['`allow` as a text', { allow: 'true' }, 'invalid_verdict'],
    ['`allow` as a number', { allow: 1 }, 'invalid_verdict'],
    ['`allow: null`', { allow: null }, 'invalid_verdict'],
    ['`allowed` of the other shape', { allowed: true }, 'invalid_verdict'],
    ['an unknown key', { allow: true, alow: true }, 'invalid_verdict'],
    ['`__proto__` as a key', JSON.parse('{"allow": true, "__proto__": {}}'), 'invalid_verdict'],
    ['`reasons` as an object', { allow: true, reasons: {} }, 'invalid_verdict'],
    ['a reason that is no text', { allow: true, reasons: [1] }, 'invalid_verdict'],
    ['`headers` as null', { allow: true, headers: null }, 'invalid_verdict'],
    ['a header value that is no text', { allow: true, headers: { 'x-a': 1 } }, 'invalid_verdict'],
    ['a newline in a header value', { allow: true, headers: { 'x-a': 'a\nb' } }, 'invalid_verdict'],
    ['a NUL in a header value', { allow: true, headers: { 'x-a': 'a\0b' } }, 'invalid_verdict'],
    ['a space in a header name', { allow: true, headers: { 'x a': '1' } }, 'invalid_verdict'],
    ['an empty header name', { allow: true, headers: { '': '1' } }, 'invalid_verdict'],
    ['a pseudo header', { allow: true, headers: { ':path': '/x' } }, 'invalid_verdict'],
    ['`Host`', { allow: true, headers: { Host: 'x' } }, 'invalid_verdict'],
    ['`content-length`', { allow: true, headers: { 'content-length': '0' } }, 'invalid_verdict'],
    ['`transfer-encoding` removed', { allow: true, remove_headers: ['Transfer-Encoding'] }, 'invalid_verdict'],
    ['`connection`', { allow: true, headers: { connection: 'close' } }, 'invalid_verdict'],
    ['`te`', { allow: true, response_headers: { te: 'trailers' } }, 'invalid_verdict'],
    ['`x-envoy-*`', { allow: true, headers: { 'X-Envoy-Retry-On': '5xx' } }, 'invalid_verdict'],
    ['a header Sallyport owns', { allow: true, headers: { 'x-sallyport-tenant': 'b' } }, 'invalid_verdict'],
    ['an upstream that is no name', { allow: true, upstream: 'a b' }, 'invalid_verdict'],
    ['an empty upstream', { allow: true, upstream: '' }, 'invalid_verdict'],
    ['`status` as a text', { allow: false, status: '401' }, 'invalid_verdict'],
    ['a broken status', { allow: false, status: 401.5 }, 'invalid_verdict'],
    ['`body` as a number', { allow: false, body: 5 }, 'invalid_verdict'],
    ['`metadata` as a list', { allow: true, metadata: [] }, 'invalid_verdict'],
    ['`metadata` that is nested too deep', { allow: true, metadata: nested(20) }, 'invalid_verdict'],
    ['`metadata` with a lone surrogate', { allow: true, metadata: { a: ['\ud800'] } }, 'invalid_verdict'],
    ['`query_set` with a lone surrogate', { allow: true, query_set: { a: '\ud800' } }, 'invalid_verdict'],
    ['`headers` with a lone surrogate', { allow: true, headers: { 'x-a': '\udc00' } }, 'invalid_verdict'],
    ['`query_set` with a number', { allow: true, query_set: { a: 1 } }, 'invalid_verdict'],
    ['`obligations` as an object', { allow: true, obligations: {} }, 'invalid_verdict'],
    ['an obligation', { allow: true, obligations: [{ id: 'watermark' }] }, 'unperformed_obligation'],
  ])('is denied when it is %s', (_name, verdict, code) => {
    expect(parseVerdict(verdict, context)).toMatchObject({ kind: 'deny', code, status: 503, reason: 'unavailable' });
  });

  test('is denied when the tenant or a role cannot be a header value', () => {
    for (const owned of [
      { decisionId: 'd-1', tenant: 'a\r\nx-admin: 1', roles: [] },
      { decisionId: 'd-1', tenant: 'tenant-a', roles: ['ä'] },
    ]) {
      expect(parseVerdict({ allow: true }, { ...context, owned })).toMatchObject({ code: 'invalid_verdict' });
    }
  });

  test('that denies tells 403 to the known and 401 to the anonymous', () => {
    const verdict = { allow: false, reasons: ['tenant_mismatch'] };
    expect(parseVerdict(verdict, context)).toMatchObject({
      kind: 'deny',
      code: 'policy_denied',
      status: 403,
      reason: 'forbidden',
      reasons: ['tenant_mismatch'],
    });
    expect(parseVerdict(verdict, { ...context, anonymous: true })).toMatchObject({
      status: 401,
      reason: 'unauthenticated',
    });
  });

  test('that denies never gets a status below 400, above 599 or unknown to Envoy', () => {
    for (let status = -1; status <= 1000; status++) {
      const decision = parseVerdict({ allow: false, status }, context);
      const wanted = status >= 400 && status <= 599 && isEnvoyStatus(status) ? status : 403;
      expect(decision).toMatchObject({ kind: 'deny', status: wanted });
    }
  });

  test('that denies may redirect only where config enables it', () => {
    const verdict = { allow: false, status: 302, headers: { location: '/login' } };
    expect(parseVerdict(verdict, context)).toMatchObject({ status: 403 });
    const redirecting = { ...context, allowRedirects: true };
    expect(parseVerdict(verdict, redirecting)).toMatchObject({ kind: 'deny', status: 302 });
    expect(parseVerdict({ ...verdict, status: 304 }, redirecting)).toMatchObject({ kind: 'deny', status: 403 });
  });
});

function nested(depth: number): object {
  return depth === 0 ? {} : { a: nested(depth - 1) };
}

test('an object that looks like an Allow is none', () => {
  const made = parseVerdict({ allow: true }, context);
  expect(Allow.is(made)).toBe(true);
  expect(Allow.is(Object.assign({}, made))).toBe(false);
  expect(Allow.is(Object.create(Allow.prototype))).toBe(false);
});

interface GoldenVerdict {
  readonly name: string;
  readonly verdict?: unknown;
  readonly response: {
    readonly grpc?: number;
    readonly status?: { readonly code?: number };
    readonly ok_response?: {
      readonly headers?: GoldenHeaders;
      readonly response_headers_to_add?: GoldenHeaders;
      readonly headers_to_remove?: readonly string[];
      readonly query_parameters_to_set?: readonly { key: string; value: string }[];
      readonly query_parameters_to_remove?: readonly string[];
    };
    readonly denied_response?: { status?: { code: number }; headers?: GoldenHeaders; body?: string };
    readonly dynamic_metadata?: { readonly fields: { readonly [name: string]: unknown } };
  };
}
type GoldenHeaders = readonly { readonly header: { readonly key: string; readonly value: string } }[];

/** Where we deny or send something safer than opa-envoy-plugin, on purpose (DESIGN: its errors are denials here). */
const OURS: { readonly [name: string]: Partial<Decision> & { readonly kind: 'deny' } } = {
  nl: { kind: 'deny', code: 'invalid_verdict' },
  pseudo: { kind: 'deny', code: 'invalid_verdict' },
  deny_200: { kind: 'deny', status: 403 },
  deny_100: { kind: 'deny', status: 403 },
  deny_302: { kind: 'deny', status: 403 },
  // Statuses that Envoy's enum does not have are its errors; and JSON.parse reads 401.0 as the integer it is.
  deny_999: { kind: 'deny', code: 'policy_denied', status: 403 },
  deny_418: { kind: 'deny', code: 'policy_denied', status: 403 },
  deny_flt: { kind: 'deny', code: 'policy_denied', status: 401 },
};

describe('a verdict of the shape `opa-envoy` answers as the plugin did', () => {
  const lines = readFileSync(new URL('../../golden/opa-envoy-verdicts.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const golden = lines.map((line) => JSON.parse(line) as GoldenVerdict);
  const bare: VerdictContext = {
    ...context,
    shape: 'opa-envoy',
    stripHeaders: [],
    owned: { decisionId: 'd-1', tenant: undefined, roles: [] },
  };
  const pairs = (headers: GoldenHeaders | undefined) =>
    (headers ?? []).map(({ header }) => [header.key.toLowerCase(), header.value]);

  test('38 verdicts are recorded', () => expect(golden).toHaveLength(38));

  test.each(golden)('$name', ({ name, verdict, response }) => {
    const decision = parseVerdict(verdict, bare);
    const ours = OURS[name];
    if (ours !== undefined) {
      expect(decision).toMatchObject(ours);
      return;
    }
    if (response.grpc !== undefined) {
      expect(decision).toMatchObject({ kind: 'deny', status: 503 });
      return;
    }
    const { decision_id: _id, ...fields } = response.dynamic_metadata?.fields ?? {};
    expect(Object.keys(decision.metadata).filter((key) => key !== 'decision_id')).toEqual(Object.keys(fields));
    if (response.status?.code === undefined) {
      const ok = response.ok_response ?? {};
      expect(Allow.is(decision)).toBe(true);
      expect(decision).toMatchObject({
        setHeaders: pairs(ok.headers),
        responseHeaders: pairs(ok.response_headers_to_add),
        removeHeaders: [
          ...(ok.headers_to_remove ?? []),
          'x-sallyport-tenant',
          'x-sallyport-role',
          'x-sallyport-upstream',
        ],
        queryRemove: ok.query_parameters_to_remove ?? [],
      });
      const wanted = (ok.query_parameters_to_set ?? []).map(({ key, value }) => [key, value]);
      if (decision.kind === 'allow') expect(new Set(decision.querySet)).toEqual(new Set(wanted));
    } else {
      const denied = response.denied_response;
      expect(decision).toMatchObject({
        kind: 'deny',
        code: 'policy_denied',
        status: denied?.status?.code ?? 403,
        headers: pairs(denied?.headers),
      });
      if (decision.kind === 'deny') expect(decision.body).toBe(denied?.body);
    }
  });
});
