import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CertificateMaker, createCertificateMaker } from '../support/certificates.ts';
import { describeWith } from '../support/describe-with.ts';
import { startProgram } from '../support/programs.ts';
import { ROOT, requireTool } from '../support/tools.ts';

const FIXTURES = join(ROOT, 'test/unit/cli/check-envoy/fixtures');
const fixtures = readdirSync(FIXTURES).flatMap((rule) => [`${rule}/failing.yaml`, `${rule}/passing.yaml`]);

describeWith(['envoy', 'openssl'], 'every fixture of check-envoy is a config that Envoy takes', () => {
  let maker: CertificateMaker;

  beforeAll(() => {
    maker = createCertificateMaker();
    // The fixtures name their certificate without a folder.
    maker.make('gateway');
  });
  afterAll(() => maker.remove());

  test.each(fixtures)('%s', async (fixture) => {
    const program = startProgram(
      requireTool('envoy'),
      ['--mode', 'validate', '--config-path', join(FIXTURES, fixture), '--disable-hot-restart'],
      { cwd: maker.folder },
    );
    expect(await program.ended, program.output()).toBe(0);
    expect(program.output()).toContain('OK');
  });
});

describeWith(['envoy'], 'Envoy reads the spellings that check-envoy reads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-spellings-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const spelt = (value: string): string => `
static_resources:
  listeners:
    - name: inbound
      address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
      filterChains:
        - filters:
            - name: hcm
              typedConfig:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                statPrefix: inbound
                routeConfig: {}
                normalizePath: ${value}
                http_filters:
                  - name: router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`;

  test.each([
    ...['true', 'True', 'yes', '"true"', 't', '"1"', 'off', 'null', '{}', '{ value: yes }'].map(
      (value) => [value, 0] as const,
    ),
    ...['[]', '2', 'perhaps'].map((value) => [value, 1] as const),
  ])('a switch that says %s: exit code %i', async (value, code) => {
    const file = join(folder, 'spelt.yaml');
    writeFileSync(file, spelt(value));
    const program = startProgram(requireTool('envoy'), [
      ...['--mode', 'validate', '--config-path', file, '--disable-hot-restart'],
    ]);
    expect(await program.ended, program.output()).toBe(code);
  });
});
