import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { findingsOf } from '../../../../src/cli/check-envoy/rules.ts';
import { UnreadableConfig } from '../../../../src/cli/check-envoy/setting.ts';
import { caseCount, createRandom, seedOf } from '../../../support/seed.ts';
import { ROOT } from '../../../support/tools.ts';

const SAMPLE = readFileSync(join(ROOT, 'deploy/envoy/sidecar-grpc.yaml'), 'utf8');
const OPTIONS = { trustedHops: undefined };

const rulesIn = (text: string): readonly string[] => findingsOf(text, OPTIONS).map(({ rule }) => rule);

/** The sample with one text replaced; fails when the text is not there. */
function sample(from: string, to: string): string {
  expect(SAMPLE).toContain(from);
  return SAMPLE.replace(from, to);
}

const ROUTE = 'route: { cluster: inference, timeout: 300s }';
const EXT_AUTHZ = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3';
const FILTER_CONFIG = '"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig';
const disabledBy = (key: string): string =>
  `typed_per_filter_config: { ${key}: { "@type": ${EXT_AUTHZ}.ExtAuthzPerRoute, disabled: true } }`;

describe('Envoy reads more than one spelling of a value, and so does the check', () => {
  test.each(['true', 'True', 'yes', 'on', '"true"', '"yes"', 't', '"1"', '{ value: true }', '[]'])(
    'failure_mode_allow: %s',
    (value) => {
      expect(rulesIn(sample('failure_mode_allow: false', `failure_mode_allow: ${value}`))).toContain(
        'failure_mode_allow',
      );
    },
  );

  test.each(['false', 'no', 'off', '"false"', '', 'null', 'f', '"0"'])('failure_mode_allow: %s is off', (value) => {
    expect(rulesIn(sample('failure_mode_allow: false', `failure_mode_allow: ${value}`))).toEqual([]);
  });

  test.each([
    ['true', []],
    ['{ value: yes }', []],
    ['{}', ['normalize_path']],
    ['{ value: false }', ['normalize_path']],
    ['f', ['normalize_path']],
  ])('normalize_path: %s', (value, rules) => {
    expect(rulesIn(sample('normalize_path: true', `normalize_path: ${value}`))).toEqual(rules);
  });

  test.each(['REJECT_REQUEST', 'reject_request', '2', '"2"', 'UNESCAPE_AND_FORWARD', '4'])(
    'path_with_escaped_slashes_action: %s is safe',
    (value) => {
      const text = sample('slashes_action: REJECT_REQUEST', `slashes_action: ${value}`);
      expect(rulesIn(text)).toEqual([]);
    },
  );

  test.each(['KEEP_UNCHANGED', 'keep_unchanged', '1', '0', '"1"', 'NEW_VALUE', '[]'])(
    'path_with_escaped_slashes_action: %s is not',
    (value) => {
      const text = sample('slashes_action: REJECT_REQUEST', `slashes_action: ${value}`);
      expect(rulesIn(text)).toContain('path_with_escaped_slashes_action');
    },
  );

  test.each([200, '"200"', 'OK', 'ok', 'Found', 302, 'Empty', 0])('status_on_error: %s is no error', (code) => {
    expect(rulesIn(sample('code: Forbidden', `code: ${code}`))).toEqual(['status_on_error']);
  });
});

describe('a switched-off filter is found wherever it is written', () => {
  const shapes: readonly (readonly [title: string, from: string, to: string])[] = [
    ['on a route', ROUTE, `${ROUTE}\n                          ${disabledBy('envoy.filters.http.ext_authz')}`],
    [
      'on a virtual host, which comes after its routes',
      'domains: ["*"]',
      `domains: ["*"]\n                      ${disabledBy('envoy.filters.http.ext_authz')}`,
    ],
    [
      'on a route config',
      'route_config:',
      `route_config:\n                  ${disabledBy('envoy.filters.http.ext_authz')}`,
    ],
    [
      'on one weighted cluster of two',
      ROUTE,
      `route: { weighted_clusters: { clusters: [{ name: inference, weight: 1 }, { name: inference, weight: 1, ${disabledBy('envoy.filters.http.ext_authz')} }] } }`,
    ],
    [
      'by a FilterConfig',
      ROUTE,
      `${ROUTE}\n                          typed_per_filter_config: { envoy.filters.http.ext_authz: { ${FILTER_CONFIG}, disabled: true } }`,
    ],
    [
      'inside a FilterConfig',
      ROUTE,
      `${ROUTE}\n                          typed_per_filter_config: { envoy.filters.http.ext_authz: { ${FILTER_CONFIG}, config: { "@type": ${EXT_AUTHZ}.ExtAuthzPerRoute, disabled: true } } }`,
    ],
    [
      'in a TypedStruct',
      ROUTE,
      `${ROUTE}\n                          typed_per_filter_config: { envoy.filters.http.ext_authz: { "@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: ${EXT_AUTHZ}.ExtAuthzPerRoute, value: { disabled: true } } }`,
    ],
  ];

  test.each(shapes)('%s', (_title, from, to) => {
    expect(rulesIn(sample(from, to))).toEqual(['per_route_disabled']);
  });

  test('but not where a more specific level switches it on again', () => {
    const off = sample(
      'domains: ["*"]',
      `domains: ["*"]\n                      ${disabledBy('envoy.filters.http.ext_authz')}`,
    );
    const on = `typed_per_filter_config: { envoy.filters.http.ext_authz: { "@type": ${EXT_AUTHZ}.ExtAuthzPerRoute, check_settings: {} } }`;
    expect(rulesIn(off.replace(ROUTE, `${ROUTE}\n                          ${on}`))).toEqual([]);
  });
});

describe('what is written in another shape is read all the same', () => {
  test('an ext_authz in a TypedStruct', () => {
    const text = sample(`"@type": ${EXT_AUTHZ}.ExtAuthz`, `"@type": type.googleapis.com/udpa.type.v1.TypedStruct`)
      .replace('transport_api_version: V3', `type_url: ${EXT_AUTHZ}.ExtAuthz\n                      value: &settings`)
      .replaceAll(/^ {22}(?=grpc_service|failure|status_on|with_req|clear_route|validate)/gm, ' '.repeat(24))
      .replaceAll(
        /^ {24}(?=envoy_grpc|timeout: 0.25s|max_request|allow_partial|pack_as|# Sallyport answers)/gm,
        ' '.repeat(26),
      );
    expect(rulesIn(text)).toEqual([]);
    expect(rulesIn(text.replace('failure_mode_allow: false', 'failure_mode_allow: true'))).toEqual([
      'failure_mode_allow',
    ]);
  });

  test('two ext_authz filters: either can be at fault', () => {
    const filter = SAMPLE.slice(SAMPLE.indexOf('                  - name: envoy.filters.http.ext_authz'));
    const first = filter.slice(0, filter.indexOf('                  - name: envoy.filters.http.router'));
    const twice = SAMPLE.replace(first, first + first.replace('.ext_authz\n', '.second\n'));
    expect(rulesIn(twice)).toEqual([]);
    for (const at of [1, 2]) {
      let count = 0;
      const faulty = twice.replaceAll('failure_mode_allow: false', (all) => {
        count += 1;
        return count === at ? 'failure_mode_allow: true' : all;
      });
      expect(rulesIn(faulty)).toEqual(['failure_mode_allow']);
    }
  });

  test('an anchor is followed, and what it holds is told once', () => {
    const text = sample('failure_mode_allow: false', 'failure_mode_allow: &on true').replace(
      'allow_partial_message: false',
      'allow_partial_message: *on',
    );
    expect(rulesIn(text)).toEqual(['failure_mode_allow', 'allow_partial_message']);
  });

  test('the place is the one of the key, from 1', () => {
    const text = sample('failure_mode_allow: false', 'failure_mode_allow: true');
    const lines = text.split('\n');
    const line = lines.findIndex((one) => one.includes('failure_mode_allow: true')) + 1;
    const column = (lines[line - 1] ?? '').indexOf('failure_mode_allow') + 1;
    expect(findingsOf(text, OPTIONS)).toMatchObject([
      {
        line,
        column,
        name: 'failure_mode_allow',
        path: 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.failure_mode_allow',
      },
    ]);
  });
});

describe('what cannot be read as Envoy would is no clean file', () => {
  test.each([
    [
      'one key twice',
      sample('failure_mode_allow: false', 'failure_mode_allow: false\n                      failure_mode_allow: true'),
    ],
    ['no YAML', '{"static_resources": '],
    ['a list', '[]'],
    ['nothing', ''],
    ['an alias of nothing', 'static_resources: *nothing'],
    ['an alias of itself', 'static_resources: &a { listeners: *a }'],
    [
      'aliases that multiply',
      `a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n${Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join()}]`).join('\n')}\n`,
    ],
    ['a depth of 100,000', '['.repeat(100_000)],
  ])('%s', (_title, text) => {
    expect(() => findingsOf(text, OPTIONS)).toThrow(UnreadableConfig);
  });

  test.each([
    ['a merge key', 'failure_mode_allow: false', '<<: { failure_mode_allow: true }'],
    ['listeners that are no list', 'listeners:', 'listeners: {}\n  others:'],
    [
      'a filter without a type',
      '"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
      'stat_prefix: x',
    ],
  ])('%s', (_title, from, to) => {
    expect(rulesIn(sample(from, to))).toContain('not_understood');
  });
});

test('a file with any of its values replaced by another shape is read or refused, and never crashes', () => {
  const seed = seedOf('check-envoy with strange values');
  const random = createRandom(seed);
  const count = caseCount(500);
  const strange: readonly unknown[] = [
    null,
    '',
    'x',
    0,
    -1,
    1e300,
    true,
    [],
    {},
    [[]],
    [null],
    { '@type': 7 },
    { '@type': 'a/b' },
  ];
  let refused = 0;
  for (let index = 0; index < count; index += 1) {
    const value: unknown = parse(SAMPLE);
    const places: { readonly holder: Record<string, unknown>; readonly key: string }[] = [];
    const collect = (holder: unknown): void => {
      if (typeof holder !== 'object' || holder === null) return;
      for (const key of Object.keys(holder)) {
        // Arrays are indexed by text here as objects are.
        const record = holder as Record<string, unknown>;
        places.push({ holder: record, key });
        collect(record[key]);
      }
    };
    collect(value);
    const { holder, key } = random.pick(places);
    holder[key] = random.pick(strange);
    try {
      findingsOf(JSON.stringify(value), OPTIONS);
    } catch (error) {
      expect(error, `seed ${seed}, case ${index}`).toBeInstanceOf(UnreadableConfig);
      refused += 1;
    }
  }
  console.info(`${count} files, ${refused} refused, 0 crashes`);
});
