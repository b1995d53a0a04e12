import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { checkExtAuthzHttpConfig, extAuthzHttpConfigSchema } from '../../../../src/protocols/ext-authz-http/config.ts';
import { CONFIG } from './door.ts';

const validate = new Ajv2020({ useDefaults: true, strict: true, allErrors: true }).compile(extAuthzHttpConfigSchema);

describe('extAuthzHttpConfigSchema', () => {
  test('fills in the defaults', () => {
    const config = { listen: '127.0.0.1:8181' };
    expect(validate(config)).toBe(true);
    expect(config).toEqual({
      listen: '127.0.0.1:8181',
      trusted_loopback: false,
      max_in_flight: 1000,
      path_prefix: '/ext-authz/',
      upstream_headers: [],
      deadline_ms: 150,
      max_body_bytes: 1_048_576,
    });
  });

  test.each([
    [{}],
    [{ path_prefix: '/ext-authz' }],
    [{ path_prefix: 'ext-authz/' }],
    [{ path_prefix: '//' }],
    [{ path_prefix: '/a b/' }],
    [{ path_prefix: '/a%2f/' }],
    [{ path_prefix: '/é/' }],
    [{ path_prefix: '' }],
    [{ upstream_headers: ['X-Upper'] }],
    [{ upstream_headers: ['a:b'] }],
    [{ upstream_headers: ['x', 'x'] }],
    [{ deadline_ms: 0 }],
    [{ max_body_bytes: -1 }],
    [{ max_in_flight: 0 }],
    [{ allowed_callers: [] }],
    [{ tls: { cert: 'a' } }],
    [{ unknown: true }],
  ])('refuses %j', (wrong) => {
    const isEmpty = Object.keys(wrong).length === 0;
    expect(validate(isEmpty ? {} : { listen: '127.0.0.1:8181', ...wrong })).toBe(false);
  });
});

describe('checkExtAuthzHttpConfig', () => {
  test('finds headers that no policy can set, and what is wrong with the listener', () => {
    const config = { ...CONFIG, listen: '0.0.0.0:8181', upstream_headers: ['x-plan', 'host', 'x-envoy-retry-on'] };
    const faults = checkExtAuthzHttpConfig('doors.ext_authz_http', config, { insecureUnauthenticatedDoor: false });
    expect(faults.map(({ path }) => path)).toEqual([
      'doors.ext_authz_http.listen',
      'doors.ext_authz_http.upstream_headers[1]',
      'doors.ext_authz_http.upstream_headers[2]',
    ]);
  });
});
