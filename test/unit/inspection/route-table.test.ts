import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CatalogError } from '../../../src/inspection/catalog-error.ts';
import { compileRoutes } from '../../../src/inspection/route-table.ts';
import { seedOf } from '../../support/seed.ts';
import { accessRequest, CHAT, INFER, inspect } from './access-requests.ts';

function faultsOf(catalog: unknown): readonly string[] {
  try {
    compileRoutes(catalog);
    return [];
  } catch (error) {
    if (error instanceof CatalogError) return error.faults.map(({ path, message }) => `${path} ${message}`);
    throw error;
  }
}

function lookUp(routes: readonly unknown[], method: string, path: string): string {
  const found = compileRoutes({ routes })(path.slice(1).split('/'), accessRequest({ method }));
  return found.kind === 'route' ? found.route.name : found.kind === 'method' ? found.allow : 'none';
}

const route = (path: string, parts: object = {}) => ({ name: 'r', path, methods: ['GET'], ...parts });

describe('compileRoutes', () => {
  it('has no routes without a catalogue or a list in it', () => {
    expect(faultsOf(undefined)).toEqual([]);
    expect(faultsOf({ tiers: {} })).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['a catalogue that is a list', [], 'catalog is not an object'],
    ['a null catalogue', null, 'catalog is not an object'],
    ['routes that are an object', { routes: {} }, 'catalog.routes is not a list of at most 4096 routes'],
    ['a route that is a text', { routes: ['/a'] }, 'catalog.routes[0] is not an object'],
    [
      'an unknown key',
      { routes: [route('/a', { method: 'GET' })] },
      'catalog.routes[0].method is not a key of a route',
    ],
    [
      'no name',
      { routes: [{ path: '/a', methods: ['GET'] }] },
      'catalog.routes[0].name is not a name of letters, digits, `_` and `-`',
    ],
    ['a path without a slash', { routes: [route('a')] }, 'catalog.routes[0].path is not a text that begins with `/`'],
    ['an empty segment', { routes: [route('/a//b')] }, 'catalog.routes[0].path has the bad segment ``'],
    ['a dot segment', { routes: [route('/a/../b')] }, 'catalog.routes[0].path has the bad segment `..`'],
    ['an encoded segment', { routes: [route('/a%2fb')] }, 'catalog.routes[0].path has the bad segment `a%2fb`'],
    ['a wildcard in braces', { routes: [route('/{a}b')] }, 'catalog.routes[0].path has the bad segment `{a}b`'],
    ['an upper-case parameter', { routes: [route('/{A}')] }, 'catalog.routes[0].path has the bad segment `{A}`'],
    [
      'a hostile parameter',
      { routes: [route('/{__proto__}')] },
      'catalog.routes[0].path has the bad segment `{__proto__}`',
    ],
    ['a twin parameter', { routes: [route('/{a}/{a}')] }, 'catalog.routes[0].path names the parameter `a` twice'],
    ['no methods', { routes: [route('/a', { methods: [] })] }, 'catalog.routes[0].methods is not a list of methods'],
    [
      'a lower-case method',
      { routes: [route('/a', { methods: ['get'] })] },
      'catalog.routes[0].methods[0] is not a method in upper case',
    ],
    [
      'a twin method',
      { routes: [route('/a', { methods: ['GET', 'GET'] })] },
      'catalog.routes[0].methods[1] names a method twice',
    ],
    [
      'operations without a parameter',
      { routes: [route('/a', { operations: { x: ['GET'] } })] },
      'catalog.routes[0].operations is given but the path has no `{operation}`',
    ],
    [
      'an operation beyond the methods',
      { routes: [route('/{operation}', { operations: { x: ['PUT'] } })] },
      'catalog.routes[0].operations.x names `PUT`, which `methods` lacks',
    ],
    [
      'no operation at all',
      { routes: [route('/{operation}', { operations: {} })] },
      'catalog.routes[0].operations is not an object of operations',
    ],
    [
      'two operations',
      { routes: [route('/{operation}', { operation: 'x' })] },
      'catalog.routes[0].operation is given but the path has an `{operation}`',
    ],
    [
      'a tenant the path lacks',
      { routes: [route('/a', { tenant: 'path' })] },
      'catalog.routes[0].tenant is `path` but the path has no `{tenant}`',
    ],
    [
      'two tenants',
      { routes: [route('/{tenant}', { tenant: 'token' })] },
      'catalog.routes[0].tenant is `token` but the path has a `{tenant}`',
    ],
    [
      'a model from an unread body',
      { routes: [route('/a', { model: 'body' })] },
      'catalog.routes[0].model is `body` but `body` is `none`',
    ],
    [
      'an unknown source',
      { routes: [route('/a', { tenant: 'header' })] },
      'catalog.routes[0].tenant is none of `path`, `token`',
    ],
    [
      'an unknown kind',
      { routes: [route('/a', { kind: 'cors' })] },
      'catalog.routes[0].kind is none of `ordinary`, `preflight`',
    ],
    [
      'a fractional size',
      { routes: [route('/a', { max_bytes: 1.5 })] },
      'catalog.routes[0].max_bytes is not an integer from 0 to 2^53 - 1',
    ],
    [
      'a size as text',
      { routes: [route('/a', { max_bytes: '1' })] },
      'catalog.routes[0].max_bytes is not an integer from 0 to 2^53 - 1',
    ],
    ['limits as text', { routes: [route('/a', { limits: 'x' })] }, 'catalog.routes[0].limits is not a list of names'],
    [
      'a twin limit',
      { routes: [route('/a', { limits: ['x', 'x'] })] },
      'catalog.routes[0].limits[1] names a limit twice',
    ],
    [
      'a truthy upgrade',
      { routes: [route('/a', { upgrade: 'yes' })] },
      'catalog.routes[0].upgrade is neither true nor false',
    ],
    [
      'an upgrade with a body',
      { routes: [route('/a', { upgrade: true, body: 'json' })] },
      'catalog.routes[0].upgrade cannot be true with `body: json`: that body is never seen',
    ],
    [
      'a preflight by GET',
      { routes: [route('/a', { kind: 'preflight' })] },
      'catalog.routes[0].methods of a preflight route is not `OPTIONS` alone',
    ],
    [
      'a twin name',
      { routes: [route('/a'), route('/b')] },
      'catalog.routes[1].name is the name of `catalog.routes[0]` too',
    ],
    [
      'a twin path',
      { routes: [route('/a'), route('/a', { name: 's' })] },
      'catalog.routes[1] matches what `r` matches',
    ],
    [
      'a twin shape',
      { routes: [route('/{a}'), route('/{b}', { name: 's' })] },
      'catalog.routes[1] matches what `r` matches',
    ],
    [
      'a twin operation',
      {
        routes: [
          route('/{operation}', { operations: { x: ['GET'], y: ['GET'] } }),
          route('/{operation}', { name: 's', operations: { y: ['GET'] } }),
        ],
      },
      'catalog.routes[1] matches what `r` matches',
    ],
  ])('names the fault: %s', (_, catalog, fault) => {
    expect(faultsOf(catalog)).toEqual([fault]);
  });

  it('names all faults at once', () => {
    const faults = faultsOf({
      routes: [route('a', { methods: ['x'], limits: 1 }), { name: 'ok', path: '/b', methods: ['GET'] }, 7],
    });
    expect(faults).toHaveLength(4);
  });

  it('tells methods, operations and preflights of one path apart', () => {
    expect(faultsOf({ routes: [route('/{a}'), route('/{b}', { name: 's', methods: ['PUT'] })] })).toEqual([]);
    expect(
      faultsOf({
        routes: [
          route('/{operation}', { operations: { x: ['GET'] } }),
          route('/{operation}', { name: 's', operations: { y: ['GET'] } }),
          route('/{operation}', { name: 't', methods: ['OPTIONS'] }),
          route('/{operation}', { name: 'u', methods: ['OPTIONS'], kind: 'preflight' }),
        ],
      }),
    ).toEqual([]);
  });

  const ROUTES = [
    { name: 'literal', path: '/v1/models', methods: ['GET'] },
    { name: 'mixed', path: '/v1/{model}', methods: ['POST'] },
    { name: 'free', path: '/{tenant}/{model}', methods: ['GET', 'PUT'] },
    { name: 'deep', path: '/{tenant}/models/{name}', methods: ['GET'] },
    { name: 'slash', path: '/v1/models/', methods: ['GET'] },
    { name: 'root', path: '/', methods: ['GET'] },
    {
      name: 'op',
      path: '/{tenant}/x/y/{operation}',
      methods: ['GET', 'POST'],
      operations: { run: ['POST'], get: ['GET'] },
    },
  ];

  it.each([
    ['GET', '/v1/models', 'literal'],
    ['POST', '/v1/models', 'GET'],
    ['POST', '/v1/other', 'mixed'],
    ['GET', '/v1/other', 'POST'],
    ['PUT', '/v2/models', 'free'],
    ['HEAD', '/v2/models', 'GET, PUT'],
    ['GET', '/v1/models/x', 'deep'],
    ['GET', '/v1/models/', 'slash'],
    ['GET', '/v2/models/', 'none'],
    ['GET', '/v2/', 'none'],
    ['GET', '/', 'root'],
    ['GET', '/V1/models', 'none'],
    ['GET', '/v1', 'none'],
    ['GET', '/a/x/y/get', 'op'],
    ['POST', '/a/x/y/get', 'GET'],
    ['POST', '/a/x/y/run', 'op'],
    ['POST', '/a/x/y/__proto__', 'none'],
    ['POST', '/a/x/y/constructor', 'none'],
    ['POST', '/a/x/y/RUN', 'none'],
    ['get', '/v1/models', 'GET'],
  ])('%s %s → %s', (method, path, wanted) => {
    expect(lookUp(ROUTES, method, path)).toBe(wanted);
  });

  it('finds what a plain search over all routes finds', () => {
    const segment = fc.constantFrom('a', 'b', '{p}', '{q}', '{operation}');
    const methods = fc.uniqueArray(fc.constantFrom('GET', 'POST', 'PUT'), { minLength: 1 });
    const anyRoute = fc.record({
      segments: fc.array(segment, { minLength: 1, maxLength: 4 }),
      methods,
      limited: fc.boolean(),
    });
    const path = fc.array(fc.constantFrom('a', 'b', 'c', 'run'), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(anyRoute, { maxLength: 8 }),
        path,
        fc.constantFrom('GET', 'POST', 'DELETE'),
        (some, segments, method) => {
          const routes = some.map(({ segments: pattern, methods: own, limited }, index) => ({
            name: `r${index}`,
            path: `/${pattern.join('/')}`,
            methods: own,
            ...(limited && pattern.includes('{operation}') ? { operations: { run: own } } : {}),
          }));
          fc.pre(faultsOf({ routes }).length === 0);
          expect(lookUp(routes, method, `/${segments.join('/')}`)).toBe(plainSearch(routes, method, segments));
        },
      ),
      { seed: seedOf('route table') | 0, numRuns: 2000 },
    );
  });

  it('gives parameters in objects that hostile names cannot reach', () => {
    const routes = [{ name: 'r', path: '/{constructor}/{tenant}', methods: ['GET'] }];
    const result = inspect({ target: '/__proto__/x' }, { routes });
    expect(result).toMatchObject({ kind: 'inspected', route: { tenant: 'x' } });
    if (result.kind === 'inspected')
      expect(Object.entries(result.route?.params ?? {})).toEqual([
        ['constructor', '__proto__'],
        ['tenant', 'x'],
      ]);
  });
});

describe('the route of a request', () => {
  const PREFLIGHT = { name: 'cors', path: '/{tenant}/{model}/{operation}', methods: ['OPTIONS'], kind: 'preflight' };
  const target = '/tenant-a/llama-3-8b/infer';

  it('has tenant, model, operation and parameters from the path', () => {
    expect(inspect({ method: 'POST', target, body: '{}', complete: true })).toMatchObject({
      kind: 'inspected',
      path: target,
      size: { known: true, bytes: 2 },
      route: {
        name: 'infer',
        tenant: 'tenant-a',
        model: 'llama-3-8b',
        operation: 'infer',
        params: { tenant: 'tenant-a', model: 'llama-3-8b', operation: 'infer' },
        requiredLimits: [],
      },
    });
  });

  it.each<[string, Parameters<typeof inspect>[0], object]>([
    ['an unknown operation', { method: 'POST', target: '/a/b/train' }, { code: 'unknown_route' }],
    ['an undeclared method', { method: 'GET', target }, { code: 'method_not_declared', headers: [['allow', 'POST']] }],
    ['a trailing slash', { method: 'POST', target: `${target}/` }, { code: 'unknown_route' }],
    ['a literal in another case', { method: 'POST', target: '/V1/chat/completions' }, { code: 'unknown_route' }],
  ])('refuses %s, and says that the path decided', (_, parts, wanted) => {
    expect(inspect(parts)).toMatchObject({ kind: 'refused', dependsOnRoute: true, path: parts.target, ...wanted });
    expect(inspect(parts, { routing: 'optional' })).toMatchObject({ kind: 'inspected', route: null });
  });

  it.each<[string, readonly (readonly [string, string])[], string]>([
    [
      'both headers',
      [
        ['origin', 'https://a.test'],
        ['access-control-request-method', 'POST'],
      ],
      'inspected',
    ],
    ['no header', [], 'method_not_declared'],
    ['no origin', [['access-control-request-method', 'POST']], 'method_not_declared'],
    ['no method', [['origin', 'https://a.test']], 'method_not_declared'],
    [
      'two origins',
      [
        ['origin', 'a'],
        ['origin', 'b'],
        ['access-control-request-method', 'POST'],
      ],
      'method_not_declared',
    ],
    [
      'joined methods',
      [
        ['origin', 'a'],
        ['access-control-request-method', 'POST,GET'],
      ],
      'method_not_declared',
    ],
    ...['x-http-method-override', 'x-http-method', 'x-method-override', 'transfer-encoding'].map(
      (name): [string, readonly (readonly [string, string])[], string] => [
        `a ${name}`,
        [
          ['origin', 'a'],
          ['access-control-request-method', 'POST'],
          [name, name === 'transfer-encoding' ? 'chunked' : 'POST'],
        ],
        'method_not_declared',
      ],
    ),
  ])('takes OPTIONS for a preflight only with both of its headers, once each: %s', (_, headers, wanted) => {
    const result = inspect({ method: 'OPTIONS', target, headers }, { routes: [INFER, CHAT, PREFLIGHT] });
    if (wanted === 'inspected')
      expect(result).toMatchObject({ route: { name: 'cors', operation: 'preflight', tenant: 'tenant-a' } });
    else expect(result).toMatchObject({ kind: 'refused', code: wanted });
  });
});

describe('a preflight, which passes without a credential', () => {
  const cors = { name: 'cors', path: '/{tenant}', methods: ['OPTIONS'], kind: 'preflight' };
  const headers = [
    ['origin', 'https://a.test'],
    ['access-control-request-method', 'POST'],
  ] as const;
  const result = (parts: Parameters<typeof inspect>[0]) =>
    inspect({ method: 'OPTIONS', target: '/tenant-a', headers, ...parts }, { routes: [cors] });

  it('has no body, declared or seen', () => {
    expect(result({ declaredLength: 0 })).toMatchObject({ route: { name: 'cors' } });
    expect(result({ declaredLength: 5 })).toMatchObject({ code: 'method_not_declared' });
    expect(result({ body: 'hello', complete: true })).toMatchObject({ code: 'method_not_declared' });
  });
});

interface PlainRoute {
  readonly name: string;
  readonly path: string;
  readonly methods: readonly string[];
  readonly operations?: { readonly run: readonly string[] };
}

function plainSearch(routes: readonly PlainRoute[], method: string, segments: readonly string[]): string {
  const matches = routes.flatMap((route) => {
    const pattern = route.path.slice(1).split('/');
    if (pattern.length !== segments.length) return [];
    if (!pattern.every((part, i) => part === segments[i] || part.startsWith('{'))) return [];
    if (route.operations !== undefined && segments[pattern.indexOf('{operation}')] !== 'run') return [];
    return [{ route, order: pattern.map((part) => (part.startsWith('{') ? 'p' : 'l')).join('') }];
  });
  const first = matches.map(({ order }) => order).sort()[0];
  const best = matches.filter(({ order }) => order === first).map((match) => match.route);
  const found = best.find((route) => route.methods.includes(method));
  if (found !== undefined || best.length === 0) return found?.name ?? 'none';
  return [...new Set(best.flatMap((route) => route.methods))].sort().join(', ');
}
