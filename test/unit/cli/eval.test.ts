import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { exitCodeOf } from '../../../src/main.ts';
import { type Ran, type RunOptions, runCaptured } from '../../support/captured-io.ts';
import { toServiceConfig } from '../../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../../support/tokens.ts';
import { ROOT } from '../../support/tools.ts';

const INFER = '/tenant-a/llama-3-8b/infer';
const BODY = '{"prompt":"hi"}';
const WHOLE = ['-X', 'POST', '-d', BODY, '-H', 'x-envoy-auth-partial-body: false'];
const ALICE = 'subject=alice,tenant=tenant-a,tier=premium,role=analyst,role=inference';

const SHIPPED_SHA256 = readFileSync(join(ROOT, 'bundles/authz.tar.gz.sha256'), 'utf8').slice(0, 64);

const folder = mkdtempSync(join(tmpdir(), 'sallyport-eval-'));
const config = join(folder, 'sallyport.yaml');
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await createTestIssuer();
  const jwksFile = join(folder, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  writeFileSync(config, stringify(await toServiceConfig({ issuer, jwksFile })));
  writeFileSync(join(folder, 'body.json'), BODY);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const evaluate = (argv: readonly string[], options?: RunOptions): Promise<Ran> =>
  runCaptured(exitCodeOf, ['eval', ...argv], options);

describe('eval, on the shipped config', () => {
  test('an allowed request is told with its route, caller, entrypoint, upstream and revision', async () => {
    const { code, stdout, stderr } = await evaluate(['--as', ALICE, ...WHOLE, INFER]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^decision {3}allow$/m);
    expect(stdout).toMatch(/^route {6}infer tenant=tenant-a model=llama-3-8b operation=infer$/m);
    expect(stdout).toMatch(/^identity {3}jwt subject=alice tenant=tenant-a tier=premium roles=analyst\|inference$/m);
    expect(stdout).toMatch(/^entrypoint authz\/decision$/m);
    expect(stdout).toMatch(/^upstream {3}tenant-a-llama-3-8b$/m);
    expect(stdout).toMatch(/^bundles {4}authz@[0-9a-f]{24}$/m);
  });

  test('a denied one with its status, client reason, code and the reasons of the policy', async () => {
    const { code, stdout } = await evaluate(['--as', ALICE, ...WHOLE, '/tenant-b/llama-3-8b/infer']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^decision {3}deny 403 forbidden \(policy_denied\)$/m);
    expect(stdout).toMatch(/^reasons {4}other_tenant$/m);
    expect(stdout).not.toContain('upstream');
  });

  test('a fault of the request with its cause', async () => {
    const { stdout } = await evaluate(['--as', ALICE, '-X', 'POST', '/tenant-a//infer']);
    expect(stdout).toMatch(/^decision {3}deny 400 bad_request \(ambiguous_path\)$/m);
    expect(stdout).toMatch(/^cause {6}\S/m);
  });

  test('with `--explain` what was charged, what is left, and every header too', async () => {
    const { code, stdout } = await evaluate(['--explain', '--as', ALICE, ...WHOLE, INFER]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^charge {5}client-rps 1 of 50 requests per 1 s by principal, method$/m);
    expect(stdout).toMatch(/^quota {6}client-rps 49 of 50 requests left$/m);
    expect(stdout).toMatch(/^sets {7}x-sallyport-tenant: tenant-a$/m);
    expect(stdout).toMatch(/^result {5}\{"allow":true/m);
    const denied = await evaluate(['--explain', '--as', ALICE, ...WHOLE, '/tenant-b/gpt-9/infer']);
    expect(denied.stdout.match(/^reason {5}\S+$/gm)?.length).toBeGreaterThan(1);
  });

  test('with `--explain` why it was denied, in the lines of the policy', async () => {
    const denied = await evaluate(['--explain', '--as', ALICE, ...WHOLE, '/tenant-b/llama-3-8b/infer']);
    expect(denied.stdout).toMatch(/^why {8}tenancy\/tenancy\.rego:10 `reasons contains "other_tenant"` held$/m);
    expect(denied.stdout).toMatch(/tenancy\.rego:26 `input\.identity\.tenant == input\.route\.tenant` was not true$/m);
    expect(denied.stdout).toMatch(/^rules {6}authz\/limits: /m);
    expect(denied.stdout).toMatch(
      /^ +data\.authz\.allow undefined: authz\/authz\.rego:53 `count\(reasons\) == 0` was not true$/m,
    );
    const allowed = await evaluate(['--explain', '--json', '--as', ALICE, ...WHOLE, INFER]);
    const { trace } = JSON.parse(allowed.stdout) as { trace: { entrypoint: string; rules: object[] }[] };
    expect(trace.map(({ entrypoint }) => entrypoint)).toEqual(['authz/limits', 'authz/decision']);
    expect(trace[1]?.rules).toContainEqual(expect.objectContaining({ rule: 'data.authz.allow', outcome: 'held' }));
    // Where the policy was not asked there is nothing to say of it.
    const refused = await evaluate(['--explain', '--as', ALICE, '-X', 'POST', '/tenant-a//infer']);
    expect(refused.stdout).not.toMatch(/^(?:why|rules)/m);
  });

  test('the same as JSON', async () => {
    const denied = await evaluate(['--json', '--as', ALICE, ...WHOLE, '/tenant-b/llama-3-8b/infer']);
    expect(JSON.parse(denied.stdout)).toMatchObject({
      decision: 'deny',
      status: 403,
      reason: 'forbidden',
      code: 'policy_denied',
      reasons: ['other_tenant'],
      entrypoint: 'authz/decision',
      route: { name: 'infer', tenant: 'tenant-b' },
      identity: { kind: 'jwt', subject: 'alice', roles: ['analyst', 'inference'] },
      bundles: { authz: expect.stringMatching(/^[0-9a-f]{24}$/) },
      result: { allow: false, reasons: ['other_tenant'] },
    });
    const allowed = await evaluate(['--json', '--as', ALICE, ...WHOLE, INFER]);
    expect(JSON.parse(allowed.stdout)).toMatchObject({ decision: 'allow', result: { allow: true } });
    expect(JSON.parse(allowed.stdout)).not.toHaveProperty('status');
  });

  test.each([
    ['allow', INFER, 0],
    ['deny', INFER, 1],
    ['allow', '/tenant-b/llama-3-8b/infer', 1],
    ['deny', '/tenant-b/llama-3-8b/infer', 0],
  ])('--expect %s of %s exits %i', async (expected, path, wanted) => {
    const { code, stdout } = await evaluate(['--expect', expected, '--as', ALICE, ...WHOLE, path]);
    expect(code).toBe(wanted);
    expect(stdout).toContain('decision');
  });

  test('a body from a file is the body', async () => {
    const argv = ['--as', ALICE, '-X', 'POST', '-H', 'x-envoy-auth-partial-body: false'];
    const whole = await evaluate([...argv, '-d', `@${join(folder, 'body.json')}`, INFER]);
    expect(whole.stdout).toMatch(/^decision {3}allow$/m);
    const chat = await evaluate([...argv, '-d', `@${join(folder, 'body.json')}`, '/v1/chat/completions']);
    expect(chat.stdout).toMatch(/^decision {3}deny 4\d\d /m);
  });

  test('without a credential it is 401 on every path, also on those that do not exist', async () => {
    for (const path of [INFER, '/tenant-b/llama-3-8b/infer', '/nothing/here', '/x']) {
      const { stdout } = await evaluate([...WHOLE, path]);
      expect(stdout, path).toMatch(/^decision {3}deny 401 unauthenticated \(/m);
      expect(stdout, path).toMatch(/^identity {3}anonymous$/m);
    }
  });

  test.each([
    ['no token at all', 'Bearer not.a.token'],
    ['the empty token', 'Bearer '],
    ['an unsigned token', `Bearer ${unsigned()}`],
  ])('with %s it is 401, and the token is not repeated', async (_name, presented) => {
    const { code, stdout } = await evaluate([...WHOLE, '-H', `authorization: ${presented}`, INFER]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^decision {3}deny 401 invalid_credentials \(invalid_credential\)$/m);
    expect(stdout).not.toContain(presented.slice('Bearer '.length) || 'Bearer');
  });

  test('a decision that the config does not name is a denial', async () => {
    const { stdout } = await evaluate(['--decision', 'nobody', '--as', ALICE, ...WHOLE, INFER]);
    expect(stdout).toMatch(/^decision {3}deny 503 unavailable \(unknown_decision\)$/m);
  });

  test('a caller without a tier or a tenant is not made one', async () => {
    const { stdout } = await evaluate(['--json', '--as', 'subject=alice', ...WHOLE, INFER]);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ decision: 'deny', identity: { subject: 'alice', roles: [] } });
    expect(told.identity).not.toHaveProperty('tenant');
    expect(told.identity).not.toHaveProperty('tier');
  });
});

describe('eval, on a config with an issuer', () => {
  const token = (claims: Readonly<Record<string, unknown>> = {}): Promise<string> =>
    issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['inference'], ...claims });

  test('verifies the token that the request carries', async () => {
    const argv = ['--config', config, ...WHOLE];
    const good = await evaluate([...argv, '-H', `authorization: Bearer ${await token()}`, INFER]);
    expect(good.stdout).toMatch(/^decision {3}allow$/m);
    expect(good.stdout).toMatch(/^identity {3}jwt subject=test-user tenant=tenant-a/m);
    for (const claims of [{ exp: 1 }, { aud: 'others' }, { iss: 'https://others.test' }]) {
      const bad = await evaluate([...argv, '-H', `authorization: Bearer ${await token(claims)}`, INFER]);
      expect(bad.stdout, JSON.stringify(claims)).toMatch(/^decision {3}deny 401 invalid_credentials/m);
      expect(bad.stdout, JSON.stringify(claims)).toMatch(/^cause {6}\S/m);
    }
  });

  test('paths of the config are relative to it, and those of the command line to where it is typed', async () => {
    const { stdout } = await evaluate(
      ['--config', 'sallyport.yaml', '--as', ALICE, '-X', 'POST', '-d', '@body.json', '-H', WHOLE[5] ?? '', INFER],
      { cwd: folder },
    );
    expect(stdout).toMatch(/^decision {3}allow$/m);
  });
});

describe('eval, on the config of a running service', () => {
  test('charges nobody: neither its store nor its folder is touched', async () => {
    const own = join(folder, 'running.yaml');
    const bundles = { authz: { file: join(ROOT, 'bundles/authz.tar.gz'), trust: { sha256: SHIPPED_SHA256 } } };
    // Nothing listens there, and a file is where the folder would be.
    const store = { kind: 'redis', url: 'redis://127.0.0.1:1' };
    writeFileSync(join(folder, 'taken'), '');
    const quota = { store, data_dir: join(folder, 'taken') };
    writeFileSync(own, stringify({ ...(await toServiceConfig()), bundles, quota }));
    const { code, stdout, stderr } = await evaluate(['--config', own, '--as', ALICE, ...WHOLE, INFER]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^decision {3}allow$/m);
  });

  test('a caller of whom no subject is said can be charged all the same', async () => {
    const { stdout } = await evaluate(['--as', 'tenant=tenant-a,tier=premium,role=inference', ...WHOLE, INFER]);
    expect(stdout).toMatch(/^decision {3}allow$/m);
  });
});

describe('eval, where it cannot decide', () => {
  test('a bad config exits 3', async () => {
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, 'doors: {}\n');
    expect(await evaluate(['--config', file, INFER])).toMatchObject({ code: 3, stdout: '' });
  });

  test('a bundle that is missing exits 4', async () => {
    const file = join(folder, 'missing-bundle.yaml');
    const parts = { ...(await toServiceConfig()), bundles: { authz: { file: 'none.tar.gz', trust: pin() } } };
    writeFileSync(file, stringify(parts));
    const { code, stdout, stderr } = await evaluate(['--config', file, INFER]);
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    expect(stderr).toContain('none.tar.gz');
  });
});

function pin(): { readonly sha256: string } {
  return { sha256: '0'.repeat(64) };
}

function unsigned(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ iss: 'urn:sallyport:demo', sub: 'alice', tenant: 'tenant-a' })}.`;
}
