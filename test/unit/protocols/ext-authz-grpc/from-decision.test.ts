import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Allow, type Decision, deny, parseVerdict, type VerdictContext } from '../../../../src/decision/decision.ts';
import { CLIENT_ANSWERS, type CoreCode } from '../../../../src/decision/errors.ts';
import type { JsonObject } from '../../../../src/decision/json.ts';
import { isEnvoyStatus } from '../../../../src/decision/status.ts';
import { denyInternal, toCheckResponse } from '../../../../src/protocols/ext-authz-grpc/from-decision.ts';
import {
  decodeCheckResponse,
  type HeaderOption,
  isAllowedByEnvoy,
  type ReadCheckResponse,
} from '../../../support/ext-authz-proto.ts';

const context: VerdictContext = {
  shape: 'sallyport',
  allowRedirects: false,
  anonymous: false,
  owned: { decisionId: 'd-1', tenant: 'tenant-a', roles: ['analyst'] },
  stripHeaders: ['authorization'],
};

function answer(verdict: unknown, parts: Partial<VerdictContext> = {}): ReadCheckResponse {
  return decodeCheckResponse(toCheckResponse(parseVerdict(verdict, { ...context, ...parts }), 'd-1'));
}

function pairs(options: readonly HeaderOption[] = []): (readonly [string, string])[] {
  return options.map(({ header }) => [header.key, header.value ?? '']);
}

describe('an Allow on the wire', () => {
  it('says code 0, sets what the verdict names and what Sallyport owns, and removes the rest', () => {
    const { status, okResponse, deniedResponse } = answer({ allow: true, headers: { 'x-a': '1' }, upstream: 'gpu-1' });
    expect(status).toEqual({});
    expect(deniedResponse).toBeUndefined();
    expect(pairs(okResponse?.headers)).toEqual([
      ['x-a', '1'],
      ['x-sallyport-upstream', 'gpu-1'],
      ['x-sallyport-decision-id', 'd-1'],
      ['x-sallyport-tenant', 'tenant-a'],
      ['x-sallyport-role', 'analyst'],
    ]);
    expect(okResponse?.headersToRemove).toEqual(['authorization']);
    expect(okResponse).not.toHaveProperty('dynamicMetadata');
  });

  it('replaces with the first value of a name and appends the others, said in both ways', () => {
    const { okResponse } = answer({ allow: true, headers: { 'x-b': ['2', '3'] } });
    const sent = okResponse?.headers?.filter(({ header }) => header.key === 'x-b');
    expect(sent).toEqual([
      { header: { key: 'x-b', value: '2' }, append: {}, appendAction: 2 },
      { header: { key: 'x-b', value: '3' }, append: { value: true } },
    ]);
  });

  it('replaces response headers but appends cookies, each on its own', () => {
    const { okResponse } = answer({
      allow: true,
      response_headers: { 'set-cookie': ['a=1', 'b=2'], 'cache-control': 'no-store' },
    });
    expect(okResponse?.responseHeadersToAdd).toEqual([
      { header: { key: 'set-cookie', value: 'a=1' }, append: { value: true } },
      { header: { key: 'set-cookie', value: 'b=2' }, append: { value: true } },
      { header: { key: 'cache-control', value: 'no-store' }, append: {}, appendAction: 2 },
    ]);
  });

  it('tells the gateway, and nobody else, by what to settle; not what a policy says it is', () => {
    const { dynamicMetadata, okResponse } = answer(
      { allow: true, metadata: { reservation_id: 'forged', plan: 'gold' } },
      { reservationId: 'r-1' },
    );
    expect(dynamicMetadata?.fields).toMatchObject({
      decision_id: { stringValue: 'd-1' },
      reservation_id: { stringValue: 'r-1' },
      plan: { stringValue: 'gold' },
    });
    expect(JSON.stringify(okResponse)).not.toContain('r-1');
    const without = answer({ allow: true, metadata: { reservation_id: 'forged' } }).dynamicMetadata?.fields;
    expect(without).not.toHaveProperty('reservation_id');
  });

  it('percent-encodes query changes', () => {
    const { okResponse } = answer({
      allow: true,
      query_set: { 'a b': ["x&y=(1)*!'", 'é~_.-'] },
      query_remove: ['c'],
    });
    expect(okResponse?.queryParametersToSet).toEqual([
      { key: 'a%20b', value: 'x%26y%3D%281%29%2A%21%27' },
      { key: 'a%20b', value: '%C3%A9~_.-' },
    ]);
    expect(okResponse?.queryParametersToRemove).toEqual(['c']);
  });

  it('carries metadata with our own decision id', () => {
    const { dynamicMetadata } = answer({
      allow: true,
      metadata: { a: 1, n: null, t: true, l: [1, 'x', {}], o: { p: '' }, decision_id: 'theirs' },
    });
    expect(dynamicMetadata?.fields).toEqual({
      a: { numberValue: 1 },
      n: { nullValue: 0 },
      t: { boolValue: true },
      l: { listValue: { values: [{ numberValue: 1 }, { stringValue: 'x' }, { structValue: {} }] } },
      o: { structValue: { fields: { p: { stringValue: '' } } } },
      decision_id: { stringValue: 'd-1' },
    });
  });

  it('carries long and many values', () => {
    const headers = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`x-${index}`, 'é'.repeat(index)]));
    const { okResponse } = answer({ allow: true, headers });
    expect(pairs(okResponse?.headers).slice(0, 300)).toEqual(Object.entries(headers));
  });

  it.each([
    { what: 'metadata nested deeper than Envoy parses', verdict: { allow: true, metadata: { a: nested(40) } } },
    { what: 'a query value that is no Unicode', verdict: { allow: true, query_set: { a: '\ud800' } } },
  ])('that cannot be written is a denial: $what', ({ verdict }) => {
    expect(Allow.is(parseVerdict(verdict, context))).toBe(false);
    const response = answer(verdict);
    expect(response.status?.code).toBe(14);
    expect(response.deniedResponse?.status?.code).toBe(503);
  });
});

describe('a Deny on the wire', () => {
  it.each(Object.entries(CLIENT_ANSWERS).map(([code, told]) => ({ code, ...told })))(
    'says $status $reason for $code',
    ({ code, status, reason }) => {
      // `code` is a key of CLIENT_ANSWERS.
      const response = decodeCheckResponse(toCheckResponse(deny(code as CoreCode), 'd-1'));
      expect(response.status?.code).toBeGreaterThan(0);
      expect(response.okResponse).toBeUndefined();
      expect(response.deniedResponse?.status?.code).toBe(status);
      expect(JSON.parse(response.deniedResponse?.body ?? '')).toEqual({
        status,
        title: expect.any(String),
        reason,
        decision_id: 'd-1',
      });
      expect(pairs(response.deniedResponse?.headers)).toEqual([
        ['content-type', 'application/problem+json'],
        ...(status === 401 ? [['www-authenticate', 'Bearer']] : []),
      ]);
      expect(response.dynamicMetadata?.fields).toEqual({ decision_id: { stringValue: 'd-1' } });
    },
  );

  it.each([
    [400, 3],
    [401, 16],
    [403, 7],
    [404, 5],
    [405, 7],
    [413, 7],
    [429, 8],
    [500, 13],
    [503, 14],
  ])('tells a gRPC client of %i as code %i', (status, code) => {
    expect(answer({ allow: false, status }).status?.code).toBe(code);
  });

  it("has the verdict's own body, headers and metadata", () => {
    const { deniedResponse, dynamicMetadata } = answer({
      allow: false,
      status: 429,
      headers: { 'retry-after': '3', 'content-type': 'text/html' },
      body: '<p>later</p>',
      metadata: { a: 1 },
    });
    expect(deniedResponse).toMatchObject({ status: { code: 429 }, body: '<p>later</p>' });
    expect(pairs(deniedResponse?.headers)).toEqual([
      ['retry-after', '3'],
      ['content-type', 'text/html'],
    ]);
    expect(dynamicMetadata?.fields).toEqual({ a: { numberValue: 1 }, decision_id: { stringValue: 'd-1' } });
  });

  it('has a plain body where the verdict names no type, and its own challenge', () => {
    expect(pairs(answer({ allow: false, body: 'no' }).deniedResponse?.headers)).toEqual([
      ['content-type', 'text/plain'],
    ]);
    const challenged = deny('invalid_credential', { headers: [['www-authenticate', 'Bearer error="invalid_token"']] });
    expect(pairs(decodeCheckResponse(toCheckResponse(challenged, 'd')).deniedResponse?.headers)).toEqual([
      ['www-authenticate', 'Bearer error="invalid_token"'],
      ['content-type', 'application/problem+json'],
    ]);
  });

  it('stands without its metadata where that cannot be written', () => {
    const denial = deny('policy_denied', { status: 404, metadata: { a: nested(60) } });
    const response = decodeCheckResponse(toCheckResponse(denial, 'd-1'));
    expect(response.deniedResponse?.status?.code).toBe(404);
    expect(response.dynamicMetadata?.fields).toEqual({ decision_id: { stringValue: 'd-1' } });
  });

  it.each([0, 99, 100, 200, 299, 418, 600, Number.NaN, -1])('never carries the status %s', (status) => {
    const response = decodeCheckResponse(toCheckResponse(deny('policy_denied', { status }), 'd'));
    expect(response.deniedResponse?.status?.code).toBe(403);
    expect(response.status?.code).toBe(7);
  });

  it.each([undefined, null, {}, { kind: 'allow' }, { kind: 'deny' }, 'allow', true, Object.create(Allow.prototype)])(
    'is what everything is that only looks like a decision: %j',
    (forged) => {
      // What a bug could hand over.
      const bytes = toCheckResponse(forged as Decision, 'd');
      expect(isAllowedByEnvoy(bytes)).toBe(false);
      expect(decodeCheckResponse(bytes).deniedResponse).toBeDefined();
    },
  );

  it('is there even when there is no decision', () => {
    expect(isAllowedByEnvoy(denyInternal(''))).toBe(false);
  });
});

describe('every status from -1 to 1000 in a verdict, in both shapes', () => {
  const statuses = Array.from({ length: 1002 }, (_, index) => index - 1);
  const verdicts = (status: number) => [
    { shape: 'sallyport', verdict: { allow: false, status } } as const,
    { shape: 'opa-envoy', verdict: { allowed: false, http_status: status } } as const,
  ];

  it.each([
    { allowRedirects: false, lowest: 400 },
    { allowRedirects: true, lowest: 300 },
  ])('is a denial that Envoy understands, from $lowest on', ({ allowRedirects, lowest }) => {
    let read = 0;
    for (const status of statuses) {
      for (const { shape, verdict } of verdicts(status)) {
        const bytes = toCheckResponse(parseVerdict(verdict, { ...context, shape, allowRedirects }), 'd');
        const { status: grpc, deniedResponse, okResponse } = decodeCheckResponse(bytes);
        expect(grpc?.code ?? 0, `${shape} ${status}`).not.toBe(0);
        expect(okResponse).toBeUndefined();
        const told = deniedResponse?.status?.code ?? 0;
        expect(isEnvoyStatus(told) && told >= lowest && told <= 599, `${shape} ${status} became ${told}`).toBe(true);
        read += 1;
      }
    }
    expect(read).toBe(2 * statuses.length);
  });
});

describe('the verdicts recorded from opa-envoy-plugin', () => {
  const recorded = readFileSync(new URL('../../../golden/opa-envoy-verdicts.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    // The file's own README gives its lines this form.
    .map(
      (line) =>
        JSON.parse(line) as {
          name: string;
          verdict?: unknown;
          response: { grpc?: number; status?: { code?: number } };
        },
    );

  it.each(recorded)('are allowed here only if they were there: $name', ({ verdict, response }) => {
    const allowedThere = response.grpc === undefined && (response.status?.code ?? 0) === 0;
    const allowedHere = isAllowedByEnvoy(
      toCheckResponse(parseVerdict(verdict, { ...context, shape: 'opa-envoy' }), 'd'),
    );
    expect(allowedHere && !allowedThere).toBe(false);
  });
});

function nested(levels: number): JsonObject {
  let value: JsonObject = {};
  for (let level = 0; level < levels; level++) value = { a: value };
  return value;
}
