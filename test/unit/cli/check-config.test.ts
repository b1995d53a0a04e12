import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/main.ts';
import { runCaptured } from '../../support/captured-io.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-check-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Faults of three families, and a bundle that is not there: nothing opens it. */
const THREE_FAULTS = `doors:
  ext_authz_grpc:
    listen: 0.0.0.0:9191
operations:
  listen: 127.0.0.1:8282
bundles:
  authz:
    file: no-such-bundle.tar.gz
    trust: { sha256: "${'0'.repeat(64)}" }
identity:
  jwt:
    issuers:
      - issuer: https://issuer.test
        audiences: [sallyport]
        algorithms: [ES256]
        jwks: { file: no-such-keys.json }
policy:
  decisions: { other: { decision: a/b, result: sallyport } }
`;

describe('check-config', () => {
  test('finds no fault in the shipped config, by its default and by name', async () => {
    for (const argv of [['check-config'], ['check-config', 'sallyport.yaml']]) {
      expect(await runCaptured(exitCodeOf, argv)).toEqual({
        code: 0,
        stdout: 'sallyport.yaml: no faults\n',
        stderr: '',
      });
    }
  });

  test('tells every fault of a bad one at once, each with file, line and key', async () => {
    const file = written('three-faults.yaml', THREE_FAULTS);
    const { code, stdout, stderr } = await runCaptured(exitCodeOf, ['check-config', file]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`${file}:3: doors.ext_authz_grpc.listen: `),
        expect.stringContaining(`${file}:16: identity.jwt.issuers[0].jwks.file: `),
        expect.stringContaining(`${file}:18: policy.decisions: `),
      ]),
    );
  });

  test('opens no bundle: a config whose bundle is missing has no fault', async () => {
    const file = written(
      'missing-bundle.yaml',
      THREE_FAULTS.replace('0.0.0.0:9191', '127.0.0.1:9191').replace(/identity:[\s\S]*/, ''),
    );
    expect((await runCaptured(exitCodeOf, ['check-config', file])).code).toBe(0);
  });

  test('a file that is not there, and one that is no YAML, are bad configs too', async () => {
    const missing = await runCaptured(exitCodeOf, ['check-config', join(folder, 'missing.yaml')]);
    expect(missing).toMatchObject({ code: 3, stderr: expect.stringContaining('missing.yaml: cannot be read') });
    const broken = await runCaptured(exitCodeOf, ['check-config', written('broken.yaml', 'doors: [\n')]);
    expect(broken.code).toBe(3);
    expect(broken.stderr).toMatch(/broken\.yaml:\d+: /);
  });

  test('an environment variable that is not set is a fault with its line; one that is set is taken', async () => {
    const text = `doors:\n  ext_authz_grpc: { listen: "\${LISTEN}" }\nbundles:\n  authz: { file: x, trust: { sha256: "${'0'.repeat(64)}" } }\n`;
    const file = written('variable.yaml', text);
    const unset = await runCaptured(exitCodeOf, ['check-config', file]);
    expect(unset).toMatchObject({ code: 3, stderr: expect.stringContaining(`${file}:2: `) });
    expect(unset.stderr).toContain('`LISTEN`');
    const set = await runCaptured(exitCodeOf, ['check-config', file], { env: { LISTEN: '127.0.0.1:9191' } });
    expect(set.code).toBe(0);
  });
});
