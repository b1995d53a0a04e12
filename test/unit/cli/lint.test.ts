import { describe, expect, test } from 'vitest';
import { lintData } from '../../../src/cli/check-data/lint.ts';
import { parseRoute, type RouteData } from '../../../src/inspection/route-data.ts';

const WHOLE = {
  name: 'chat',
  path: '/v1/chat',
  methods: ['POST'],
  body: 'json',
  schema: 'chat',
  max_bytes: 1_000,
  limits: ['calls'],
};

function route(changes: Readonly<Record<string, unknown>>): RouteData {
  const faults: { path: string; message: string }[] = [];
  const parsed = parseRoute({ ...WHOLE, ...changes }, 'route', faults);
  if (parsed === undefined) throw new Error(JSON.stringify(faults));
  return parsed;
}

const warned = (changes: Readonly<Record<string, unknown>>): readonly string[] =>
  lintData({}, [route(changes)]).map(({ path, warning }) => `${path} ${warning}`);

describe('a route', () => {
  test('with a bound, a schema and a limit is warned of nowhere', () => {
    expect(warned({})).toEqual([]);
  });

  test.each([
    ['a size limit', { max_bytes: undefined }, 'no_size_limit'],
    ['a size limit for every tier', { max_bytes: undefined, max_bytes_by_tier: { free: 10 } }, 'no_size_limit'],
    ['a schema', { schema: undefined }, 'no_schema'],
    ['a schema, its body not being read', { schema: undefined, body: 'none' }, 'no_schema'],
    ['a limit', { limits: [] }, 'no_limit'],
    ['naming limits', { limits: undefined }, 'no_limit'],
  ])('without %s is warned of', (_what, changes, warning) => {
    expect(warned(changes)).toEqual([`catalog.routes.chat ${warning}`]);
  });

  test('for preflights needs no schema, and the rest', () => {
    const preflight = { kind: 'preflight', methods: ['OPTIONS'], body: 'none', schema: undefined };
    expect(warned(preflight)).toEqual([]);
    expect(warned({ ...preflight, max_bytes: undefined, limits: [] })).toEqual([
      'catalog.routes.chat no_size_limit',
      'catalog.routes.chat no_limit',
    ]);
  });
});

describe('CORS data', () => {
  test.each<[string, object]>([
    ['a wildcard in a list', { origins: ['https://a.test', '*'], credentials: true }],
    ['a wildcard alone', { allow_origin: '*', allow_credentials: true }],
    ['the headers themselves', { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true' }],
    ['a wildcard for a host', { allowed_origins: ['https://*'], allow_credentials: true }],
    ['a pattern that everything matches', { origins_regex: ['.*'], credentials: true }],
    ['the origin of sandboxed pages', { origins: ['null'], credentials: true }],
  ])('is warned of for %s with credentials, wherever it stands', (_what, cors) => {
    const data = { portal: { sites: [{}, { cors }] } };
    expect(lintData(data, [])).toMatchObject([
      { path: 'portal.sites[1].cors', warning: 'cors_wildcard_with_credentials' },
    ]);
  });

  test.each<[string, object]>([
    ['a wildcard without credentials', { origins: ['*'], credentials: false }],
    ['a wildcard that says nothing of them', { origins: ['*'] }],
    ['named origins with credentials', { origins: ['https://a.test', 'https://*.a.test'], credentials: true }],
    ['a route’s credentials beside a wildcard in a list', { credentials: ['jwt'], origins: ['*'] }],
  ])('is warned of nowhere for %s', (_what, cors) => {
    expect(lintData({ cors }, [])).toEqual([]);
  });
});
