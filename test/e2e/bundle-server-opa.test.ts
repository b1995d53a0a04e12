import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packArchive, readArchive } from '../../src/bundle/archive.ts';
import { signBundle } from '../../src/bundle/signing/bundle-signature.ts';
import { openSigner } from '../../src/bundle/signing/key-folder.ts';
import { exitCodeOf } from '../../src/main.ts';
import { runCaptured } from '../support/captured-io.ts';
import { describeWith } from '../support/describe-with.ts';
import { eventually, type Program, startProgram } from '../support/programs.ts';
import { ROOT, requireTool } from '../support/tools.ts';

/**
 * The whole way: our own commands make keys, build, sign, publish, promote and order; a real OPA pulls from the server with
 * long polls, verifies the signature inside the bundle, and reports its status.
 */
const TOKENS = { CI: 'ci-token-1', OPS: 'ops-token-1', OPA: 'opa-token-1' };

describeWith(['opa'], 'a real OPA that pulls from the bundle server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bundles-e2e-'));
  const at = (name: string): string => join(folder, name);
  let port: number;
  let opaPort: number;
  let server: Program;
  let opa: Program;
  let version = 0;

  const run = async (...argv: readonly string[]) => {
    const ran = await runCaptured(exitCodeOf, argv, {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', ...TOKENS },
    });
    if (ran.code !== 0) throw new Error(`sallyport ${argv.join(' ')}: ${ran.stderr}`);
    return ran.stdout;
  };
  const bundleUrl = (): string => `http://127.0.0.1:${port}/v1/bundles/authz`;

  async function buildRelease(answer: string, ...flags: readonly string[]) {
    version += 1;
    mkdirSync(at('policy'), { recursive: true });
    writeFileSync(at('policy/authz.rego'), 'package authz\n\nanswer := data.authz.words.answer\n');
    mkdirSync(at('policy/authz/words'), { recursive: true });
    writeFileSync(at('policy/authz/words/data.json'), JSON.stringify({ answer }));
    const file = at(`authz-${version}.tar.gz`);
    await run(
      ...['build', '--from', 'policy', '-e', 'authz/answer', '--out', file, '--sign', '--key', 'signing'],
      ...['--scope', 'prod', '--name', 'authz', '--version', String(version), ...flags],
    );
    return { file, sha256: createHash('sha256').update(readFileSync(file)).digest('hex') };
  }
  const publish = (file: string) => run('bundles', 'publish', file, '--to', bundleUrl(), '--token-env', 'CI');
  const promote = (digest: string) => run('bundles', 'promote', digest, '--to', bundleUrl(), '--token-env', 'OPS');
  const asked = async (): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${opaPort}/v1/data/authz/answer`);
    const { result } = (await response.json()) as { readonly result?: unknown };
    return result;
  };
  const fleet = async () =>
    JSON.parse(await run('fleet', '--from', `http://127.0.0.1:${port}`, '--token-env', 'OPS', '--json')) as {
      readonly instances: readonly {
        readonly token: string;
        readonly instance: string;
        readonly bundles: readonly {
          readonly revision?: string;
          readonly sha256?: string;
          readonly version?: number;
        }[];
      }[];
      readonly flags: readonly unknown[];
    };

  beforeAll(async () => {
    [port, opaPort] = [await freePort(), await freePort()];
    await run('keys', 'bundle', 'create', '--out', 'signing', '--kid', 'release-1');
    const publicKey = readFileSync(at('signing/release-1.public.pem'), 'utf8');
    const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');
    writeFileSync(
      at('bundle-server.yaml'),
      `listen: 127.0.0.1:${port}
storage: {disk: {dir: store}}
audit_log: audit.jsonl
bundles:
  authz: {keys: {release-1: signing/release-1.public.pem}, scope: prod}
tokens:
  - {name: ci, sha256: ${digestOf(TOKENS.CI)}, rights: [publish], bundles: [authz]}
  - {name: ops, sha256: ${digestOf(TOKENS.OPS)}, rights: [promote, read, fleet], bundles: [authz]}
  - {name: opas, sha256: ${digestOf(TOKENS.OPA)}, rights: [read, report], bundles: [authz]}
`,
    );
    writeFileSync(
      at('opa.yaml'),
      JSON.stringify({
        services: { sallyport: { url: `http://127.0.0.1:${port}/v1`, credentials: { bearer: { token: TOKENS.OPA } } } },
        labels: { id: 'opa-1', region: 'eu' },
        keys: { 'release-1': { algorithm: 'ES256', key: publicKey } },
        bundles: {
          authz: {
            service: 'sallyport',
            resource: 'bundles/authz',
            signing: { keyid: 'release-1', scope: 'prod' },
            polling: { min_delay_seconds: 1, max_delay_seconds: 2, long_polling_timeout_seconds: 30 },
          },
        },
        status: { service: 'sallyport' },
      }),
    );
    server = startProgram(process.execPath, [
      join(ROOT, 'src/main.ts'),
      'bundles',
      'serve',
      '--config',
      at('bundle-server.yaml'),
    ]);
    await server.waitForLine((line) => line.includes('the bundle server is ready'));
    opa = startProgram(requireTool('opa'), [
      ...['run', '--server', '--addr', `127.0.0.1:${opaPort}`, '--config-file', at('opa.yaml'), '--disable-telemetry'],
      ...['--log-level', 'debug'],
    ]);
  });
  afterAll(async () => {
    await opa?.stop();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('activates what is promoted, at once, and says so', { timeout: 120_000 }, async () => {
    const first = await buildRelease('one');
    await publish(first.file);
    expect(await run('bundles', 'list', '--from', bundleUrl(), '--token-env', 'OPS')).toContain(
      first.sha256.slice(0, 16),
    );
    await promote(first.sha256);
    await eventually(async () => ((await asked()) === 'one' ? true : undefined), 30_000);

    const times: number[] = [];
    for (const answer of ['two', 'three', 'four']) {
      const next = await buildRelease(answer);
      await publish(next.file);
      // What is published alone reaches nobody; meanwhile OPA has gone back to its long poll.
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await asked()).not.toBe(answer);
      const startMs = performance.now();
      await promote(next.sha256);
      await eventually(async () => ((await asked()) === answer ? true : undefined), 30_000);
      times.push(Math.round(performance.now() - startMs));
    }
    console.info(`promote to active in OPA, long poll: ${times.join(', ')} ms`);
    expect(Math.min(...times)).toBeLessThan(5_000);

    const seen = await eventually(async () => {
      const { instances, flags } = await fleet();
      const [bundle] = instances[0]?.bundles ?? [];
      return bundle?.version === version ? { instance: instances[0], bundle, flags } : undefined;
    }, 30_000);
    expect(seen.instance).toMatchObject({ token: 'opas', labels: { region: 'eu' } });
    expect(seen.flags).toEqual([]);
    const revision = String(seen.bundle.revision);
    const from = ['fleet', '--from', `http://127.0.0.1:${port}`, '--token-env', 'OPS'];
    expect(await run(...from, '--expect-revision', revision)).toContain('opas/');
    await expect(run(...from, '--expect-revision', 'another')).rejects.toThrow('1 of 1 do not run');
  });

  test('an order is signed by the command, and kept by the server', async () => {
    const digest = createHash('sha256')
      .update(readFileSync(at(`authz-${version}.tar.gz`)))
      .digest('hex');
    const order = [
      'bundles',
      'order',
      '--to',
      bundleUrl(),
      '--token-env',
      'OPS',
      '--key',
      'signing',
      '--scope',
      'prod',
    ];
    const told = await run(...order, '--candidate', digest.slice(0, 12), '--percent', '10', '--label', 'ring=eu');
    expect(told).toContain('canary 10 %');
    await expect(run(...order, '--candidate', digest, '--percent', '20', '--order-version', '1')).rejects.toThrow(
      'older',
    );
    const lines = readFileSync(at('audit.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toMatchObject({ what: 'order', who: 'ops', percent: 10, sha256: digest });
    expect(lines.filter(({ what }) => what === 'publish').every(({ who }) => who === 'ci')).toBe(true);
  });

  test('a server that is killed comes back with all it had', async () => {
    server.signal('SIGKILL');
    await server.ended;
    server = startProgram(process.execPath, [
      join(ROOT, 'src/main.ts'),
      'bundles',
      'serve',
      '--config',
      at('bundle-server.yaml'),
    ]);
    await server.waitForLine((line) => line.includes('the bundle server is ready'));
    const list = JSON.parse(await run('bundles', 'list', '--from', bundleUrl(), '--token-env', 'OPS', '--json'));
    expect(list.revisions).toHaveLength(version);
    expect(list.channels.stable.version).toBe(version);
    const next = await buildRelease('five');
    await publish(next.file);
    await promote(next.sha256);
    await eventually(async () => ((await asked()) === 'five' ? true : undefined), 30_000);
  });

  test('is given whole archives when it verifies signatures, and others a delta', async () => {
    const base = at(`authz-${version}.tar.gz`);
    const next = await buildRelease('six');
    await publish(next.file);
    const signer = await openSigner(at('signing'));
    const { '.manifest': manifest = new Uint8Array() } = Object.fromEntries(
      readArchive(new Uint8Array(readFileSync(next.file))),
    );
    const nowS = Math.floor(Date.now() / 1000);
    const claims = {
      name: 'authz',
      scope: 'prod',
      version,
      revision: String(JSON.parse(Buffer.from(manifest).toString()).revision),
      issuedAtEpochS: nowS,
      notBeforeEpochS: nowS,
      expiresEpochS: nowS + 3600,
      minRollbackVersion: 0,
      security: false,
    };
    const patch = { data: [{ op: 'upsert', path: '/authz/words/answer', value: 'six, by a delta' }] };
    const bytes = packArchive(
      new Map([
        ['.manifest', manifest],
        ['patch.json', Buffer.from(JSON.stringify(patch))],
      ]),
    );
    const baseSha256 = createHash('sha256').update(readFileSync(base)).digest('hex');
    writeFileSync(at('delta.tar.gz'), bytes);
    writeFileSync(at('delta.tar.gz.jws'), signBundle(bytes, { kind: 'delta', baseSha256, ...claims }, signer));
    await run('bundles', 'publish', at('delta.tar.gz'), '--delta', '--to', bundleUrl(), '--token-env', 'CI');
    await promote(next.sha256);
    // OPA 1.22 asks for deltas and then refuses every one when it verifies signatures; it must not be left without both.
    await eventually(async () => ((await asked()) === 'six' ? true : undefined), 30_000);
    const headers = { authorization: `Bearer ${TOKENS.OPA}`, 'x-sallyport-base': baseSha256 };
    const delta = await fetch(bundleUrl(), { headers });
    expect(Buffer.compare(Buffer.from(await delta.arrayBuffer()), bytes)).toBe(0);
  });

  test('refuses a bundle without a signature inside, keeps the old one, and the fleet shows it', async () => {
    const before = await asked();
    const next = await buildRelease('seven', '--detached-only');
    await publish(next.file);
    await promote(next.sha256);
    const from = ['fleet', '--from', `http://127.0.0.1:${port}`, '--token-env', 'OPS'];
    await eventually(async () => ((await run(...from)).includes('bundle_error') ? true : undefined), 30_000);
    expect(await asked()).toBe(before);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
