import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { exitCodeOf } from '../../src/main.ts';
import { runCaptured } from '../support/captured-io.ts';
import { describeWith } from '../support/describe-with.ts';
import {
  HTTP_CLIENT_HEADERS,
  HTTP_REQUEST_HEADERS,
  HTTP_UPSTREAM_HEADERS,
  QUOTA_HEADERS,
} from '../support/envoy-config.ts';
import { startProgram } from '../support/programs.ts';
import { ROOT, requireTool } from '../support/tools.ts';

const FOLDER = join(ROOT, 'deploy/envoy');
const samples = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));

describeWith(['envoy'], 'every Envoy sample is one that Envoy takes', () => {
  test.each(samples)('%s', async (sample) => {
    const program = startProgram(requireTool('envoy'), [
      ...['--mode', 'validate', '--config-path', join(FOLDER, sample), '--disable-hot-restart'],
    ]);
    expect(await program.ended, program.output()).toBe(0);
    expect(program.output()).toContain('OK');
  });
});

describe('every Envoy sample is safe to copy', () => {
  test('there are samples', () =>
    expect(samples).toEqual(expect.arrayContaining(['sidecar-grpc.yaml', 'sidecar-http.yaml'])));

  test.each(samples)('%s fails closed, hardens the path, and passes whole bodies only', (sample) => {
    const { manager, authz } = read(sample);
    expect(authz).toMatchObject({
      failure_mode_allow: false,
      status_on_error: { code: 'Forbidden' },
      clear_route_cache: true,
      with_request_body: { allow_partial_message: false, pack_as_bytes: true },
    });
    expect(manager).toMatchObject({
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'REJECT_REQUEST',
      common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
    });
  });

  test.each(readdirSync(FOLDER))('%s passes check-envoy without a finding or a note', async (sample) => {
    const file = `deploy/envoy/${sample}`;
    expect(await runCaptured(exitCodeOf, ['check-envoy', '--strict', file])).toEqual({
      code: 0,
      stdout: `${file}: OK, no setting undoes a decision\n`,
      stderr: '',
    });
  });

  test('the HTTP sample lists every header that the door needs, sets or shows', () => {
    const { authz } = read('sidecar-http.yaml');
    const response = authz.http_service.authorization_response;
    expect(names(authz.allowed_headers)).toEqual(expect.arrayContaining([...HTTP_REQUEST_HEADERS]));
    expect(names(response.allowed_upstream_headers)).toEqual([...HTTP_UPSTREAM_HEADERS]);
    expect(names(response.allowed_client_headers)).toEqual([...HTTP_CLIENT_HEADERS]);
    expect(names(response.allowed_client_headers_on_success)).toEqual([...QUOTA_HEADERS, 'x-served-model']);
  });
});

interface Matchers {
  readonly patterns: readonly { readonly exact: string }[];
}

interface ExtAuthzFilter {
  readonly allowed_headers: Matchers;
  readonly http_service: {
    readonly authorization_response: {
      readonly allowed_upstream_headers: Matchers;
      readonly allowed_client_headers: Matchers;
      readonly allowed_client_headers_on_success: Matchers;
    };
  };
}

function read(sample: string): { readonly manager: object; readonly authz: ExtAuthzFilter } {
  // The shape of our own samples; a wrong one fails the assertions that read it.
  const bootstrap = parse(readFileSync(join(FOLDER, sample), 'utf8')) as {
    static_resources: {
      listeners: {
        filter_chains: {
          filters: { typed_config: { http_filters: { name: string; typed_config: ExtAuthzFilter }[] } }[];
        }[];
      }[];
    };
  };
  const manager = bootstrap.static_resources.listeners[0]?.filter_chains[0]?.filters[0]?.typed_config;
  const authz = manager?.http_filters.find(({ name }) => name === 'envoy.filters.http.ext_authz')?.typed_config;
  if (manager === undefined || authz === undefined) throw new Error(`\`${sample}\` has no ext_authz filter`);
  return { manager, authz };
}

function names(matchers: Matchers): readonly string[] {
  return matchers.patterns.map(({ exact }) => exact);
}
