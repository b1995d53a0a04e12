import { describe, expect, test } from 'vitest';
import { Allow, type Decision, deny, parseVerdict } from '../../../../src/decision/decision.ts';
import { CLIENT_ANSWERS, type CoreCode } from '../../../../src/decision/errors.ts';
import {
  denialStatus,
  faultAnswer,
  OWNED_TWINS,
  toWireAnswer,
  type WireAnswer,
} from '../../../../src/protocols/ext-authz-http/from-decision.ts';
import { DECISION_ID, verdict } from './door.ts';

function pairs({ headers }: WireAnswer): readonly string[] {
  return Array.from({ length: headers.length / 2 }, (_, index) => `${headers[index * 2]}: ${headers[index * 2 + 1]}`);
}

function answer(decision: Decision, upstream: readonly string[] = []): WireAnswer {
  return toWireAnswer(decision, DECISION_ID, new Set(upstream));
}

describe('an Allow', () => {
  test('that names nothing is 200 and takes the headers Sallyport owns off the request', () => {
    const wire = answer(verdict({ allow: true }));
    expect(wire.status).toBe(200);
    expect(wire.body).toHaveLength(0);
    expect(pairs(wire)).toEqual([
      `x-envoy-auth-headers-to-remove: x-sallyport-upstream,x-sallyport-decision-id,x-sallyport-tenant,x-sallyport-role,${OWNED_TWINS.join(',')}`,
      `x-sallyport-decision-id: ${DECISION_ID}`,
      'content-length: 0',
    ]);
  });

  test('that holds something tells the gateway by what to settle', () => {
    const owned = { decisionId: DECISION_ID, tenant: undefined, roles: [] };
    const context = { shape: 'sallyport', allowRedirects: false, anonymous: false, owned, stripHeaders: [] } as const;
    const allow = parseVerdict({ allow: true }, { ...context, reservationId: 'r-1' });
    expect(pairs(answer(allow))).toContain('x-sallyport-reservation-id: r-1');
    expect(pairs(answer(parseVerdict({ allow: true }, context))).join()).not.toContain('reservation');
  });

  test('sets listed headers, owned ones among them, and never removes what it sets', () => {
    const allow = verdict({
      allow: true,
      headers: { 'X-Plan': 'gold', 'x-list': ['a', 'b'], cookie: ['c=1', 'd=2'] },
      remove_headers: ['X-Debug'],
      response_headers: { 'set-cookie': ['e=1', 'f=2'] },
      upstream: 'llama',
    });
    const listed = [
      'x-plan',
      'x-list',
      'cookie',
      'x-sallyport-tenant',
      'x-sallyport-upstream',
      'x-sallyport-decision-id',
    ];
    expect(pairs(answer(allow, listed))).toEqual([
      'x-plan: gold',
      'x-list: a,b',
      'cookie: c=1; d=2',
      'x-sallyport-upstream: llama',
      'x-sallyport-tenant: tenant-a',
      'set-cookie: e=1',
      'set-cookie: f=2',
      `x-envoy-auth-headers-to-remove: x-debug,x-sallyport-role,${OWNED_TWINS.join(',')}`,
      `x-sallyport-decision-id: ${DECISION_ID}`,
      'content-length: 0',
    ]);
  });

  test('takes every spelling of an owned header off that an upstream may read as ours', () => {
    const removed = pairs(answer(verdict({ allow: true }), ['x-sallyport-tenant']))
      .find((pair) => pair.startsWith('x-envoy-auth-headers-to-remove: '))
      ?.slice('x-envoy-auth-headers-to-remove: '.length)
      .split(',');
    expect(removed).toEqual(
      expect.arrayContaining(['x_sallyport_tenant', 'x-sallyport_role', 'x_sallyport-decision_id']),
    );
    expect(removed).not.toContain('x-sallyport-tenant');
    expect(OWNED_TWINS).toHaveLength(16);
  });

  test('takes credential headers off the request', () => {
    const wire = answer(verdict({ allow: true }, ['x-api-key']));
    expect(pairs(wire)[0]).toContain('x-api-key');
  });

  test('sends values beyond ASCII as the bytes of UTF-8', () => {
    const wire = answer(verdict({ allow: true, headers: { 'x-name': 'café' } }), ['x-name']);
    expect(pairs(wire)).toContain('x-name: caf\xc3\xa9');
  });

  test.each([
    ['a query change', { query_set: { a: 'b' } }, []],
    ['a query removal', { query_remove: ['a'] }, []],
    ['an upstream header that is not listed', { headers: { 'x-plan': 'gold' } }, []],
    ['an upstream that cannot be named', { upstream: 'llama' }, ['x-plan']],
    ['a client header that Envoy would put on the request', { response_headers: { 'x-plan': 'gold' } }, ['x-plan']],
  ])('with %s is a denial here', (_name, parts, listed) => {
    const allow = verdict({ allow: true, ...parts });
    expect(Allow.is(allow)).toBe(true);
    const wire = answer(allow, listed);
    expect(wire.status).toBe(403);
    expect(JSON.parse(wire.body.toString())).toMatchObject({ reason: 'unavailable', decision_id: DECISION_ID });
  });

  test('that `parseVerdict` did not make is a denial', () => {
    // A look-alike, as a bug could make one.
    const forged = Object.assign({}, verdict({ allow: true }));
    expect(forged.kind).toBe('allow');
    expect(answer(forged).status).toBe(403);
    expect(answer(Object.create(Allow.prototype) as Decision).status).toBe(403);
  });
});

describe('a Deny', () => {
  test.each(Object.entries(CLIENT_ANSWERS))(
    'of code %s is 400–499 and its body agrees with its status',
    (code, told) => {
      // Keys of a Record<CoreCode, …>.
      const wire = answer(deny(code as CoreCode));
      expect(wire.status).toBe(told.status === 503 ? 403 : told.status);
      expect(JSON.parse(wire.body.toString())).toEqual({
        status: wire.status,
        title: expect.any(String),
        reason: told.reason,
        decision_id: DECISION_ID,
      });
      expect(pairs(wire)).toContain('content-type: application/problem+json');
      expect(pairs(wire).some((line) => line.startsWith('www-authenticate: '))).toBe(wire.status === 401);
    },
  );

  test('keeps the body and the headers of the verdict, and frames them itself', () => {
    const denied = deny('policy_denied', {
      status: 429,
      body: '{"é":1}',
      headers: [
        ['content-type', 'application/json'],
        ['retry-after', '5'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=é'],
        ['content-length', '9999'],
        ['connection', 'upgrade'],
        ['transfer-encoding', 'chunked'],
      ],
    });
    const wire = answer(denied);
    expect([wire.status, wire.body.toString()]).toEqual([429, '{"é":1}']);
    expect(pairs(wire)).toEqual([
      'content-type: application/json',
      'retry-after: 5',
      'set-cookie: a=1',
      'set-cookie: b=\xc3\xa9',
      `x-sallyport-decision-id: ${DECISION_ID}`,
      'content-length: 8',
    ]);
  });

  test('has 400–499 or 403, for every status from −1 to 1000 and what is no status', () => {
    for (const status of [...Array.from({ length: 1002 }, (_, index) => index - 1), 400.5, Number.NaN, Infinity]) {
      const expected = Number.isInteger(status) && status >= 400 && status < 500 ? status : 403;
      expect(denialStatus(status)).toBe(expected);
      expect(answer(deny('policy_denied', { status })).status).toBe(expected);
    }
  });
});

test('the answer to a fault is a denial without a decision', () => {
  expect(faultAnswer()).toMatchObject({ status: 403 });
  expect(JSON.parse(faultAnswer().body.toString())).toMatchObject({ status: 403, reason: 'unavailable' });
});
