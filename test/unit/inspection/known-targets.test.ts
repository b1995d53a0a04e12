import { expect, test } from 'vitest';
import type { Inspected } from '../../../src/decision/ports.ts';
import type { Principal } from '../../../src/decision/principal.ts';
import { createInspector } from '../../../src/inspection/inspector.ts';
import { createKnownTargets } from '../../../src/inspection/known-targets.ts';
import { accessRequest, STRICT } from './access-requests.ts';

const ALICE: Principal = {
  kind: 'jwt',
  subject: 'alice',
  tenant: 'tenant-a',
  roles: [],
  scopes: [],
  claims: {},
  credentials: [],
  demo: false,
};
const BOB: Principal = { ...ALICE, subject: 'bob', tenant: 'tenant-b' };

const ROUTES = [
  { name: 'infer', path: '/{tenant}/{model}/infer', methods: ['POST'], body: 'none' },
  { name: 'list', path: '/{tenant}/{model}/infer', methods: ['GET'], body: 'none' },
  { name: 'me', path: '/me', methods: ['GET'], tenant: 'token', body: 'none' },
  { name: 'chat', path: '/v1/chat', methods: ['POST'], tenant: 'token', model: 'body', body: 'json', max_bytes: 1024 },
];

function inspector() {
  const inspect = createInspector({ catalog: { routes: ROUTES }, network: { trusted_hops: 0 }, compatibility: STRICT });
  return (parts: Parameters<typeof accessRequest>[0], principal: Principal | 'nobody' = ALICE) =>
    inspect(accessRequest(parts), principal === 'nobody' ? undefined : principal, null, 'required');
}

const POST = { method: 'POST', target: '/tenant-a/llama/infer', complete: true };

function routeOf(inspected: ReturnType<ReturnType<typeof inspector>>): Inspected['route'] {
  if (inspected.kind !== 'inspected') throw new Error(inspected.cause);
  return inspected.route;
}

test('the route of a target that comes again reads as at first, and is one object from then on', () => {
  const inspect = inspector();
  const [first, second, third] = [inspect(POST), inspect(POST), inspect(POST)].map(routeOf);
  expect(second).toEqual(first);
  expect(third).toBe(second);
});

test('another method on a known target has its own route, and one that is not declared none', () => {
  const inspect = inspector();
  for (let time = 0; time < 3; time += 1) {
    expect(inspect(POST)).toMatchObject({ route: { name: 'infer' } });
    expect(inspect({ ...POST, method: 'GET' })).toMatchObject({ route: { name: 'list' } });
    expect(inspect({ ...POST, method: 'PUT' })).toMatchObject({ code: 'method_not_declared', path: POST.target });
  }
});

test('the tenant of a token is that of each request', () => {
  const inspect = inspector();
  for (let time = 0; time < 3; time += 1) {
    for (const who of [ALICE, BOB, BOB]) {
      expect(inspect({ method: 'GET', target: '/me' }, who)).toMatchObject({ route: { tenant: who.tenant } });
    }
    expect(routeOf(inspect({ method: 'GET', target: '/me' }, 'nobody'))).not.toHaveProperty('tenant');
  }
});

test('the model of a body is that of each request, and a body without one is refused', () => {
  const inspect = inspector();
  const chat = (body: string) =>
    inspect({
      method: 'POST',
      target: '/v1/chat',
      headers: [['content-type', 'application/json']],
      body,
      complete: true,
    });
  for (let time = 0; time < 3; time += 1) {
    for (const model of ['a', 'b', 'b']) {
      expect(chat(JSON.stringify({ model, messages: [] }))).toMatchObject({ route: { model }, inference: { model } });
    }
    expect(chat('{"messages":[]}')).toMatchObject({ kind: 'refused', code: 'malformed_request' });
  }
});

test('a target with a query, a long one and one that is not canonical are not kept', () => {
  const targets = createKnownTargets();
  for (const target of ['/a?b', `/${'a'.repeat(128)}`, '/a/../b', '']) {
    targets.add(target);
    expect(targets.get(target), target).toBeUndefined();
  }
  targets.add('/a');
  expect(targets.get('/a')?.canonical).toEqual({ kind: 'path', path: '/a', segments: ['a'], query: '' });
});

test('there are so many and no more: then it begins anew', () => {
  const targets = createKnownTargets();
  for (let number = 0; number < 1024; number += 1) targets.add(`/${number}`);
  expect(targets.get('/0')).toBeDefined();
  targets.add('/one-more');
  expect(targets.get('/0')).toBeUndefined();
  expect(targets.get('/one-more')).toBeDefined();
});
