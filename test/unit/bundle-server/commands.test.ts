import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBundles } from '../../../src/cli/bundles.ts';
import type { Command } from '../../../src/cli/command.ts';
import { tellError } from '../../../src/cli/exit-code.ts';
import { fleet } from '../../../src/cli/fleet.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { ROOT } from '../../support/tools.ts';
import { NOW_S, newSigner, type OpenServer, openServer, release, TOKENS } from './server-support.ts';

const bundles = createBundles({ nowMs: () => NOW_S * 1000, process });
const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['bundles', bundles],
  ['fleet', fleet],
]);
const env = { PUBLISH: TOKENS.publish, PROMOTE: TOKENS.promote, READ: TOKENS.read, FLEET: TOKENS.fleet };
const sallyport = (...argv: readonly string[]) =>
  runCaptured(
    async ([name = '', ...rest], io) => {
      try {
        return (await COMMANDS.get(name)?.(rest, io)) ?? 99;
      } catch (error) {
        return tellError(error, name, io);
      }
    },
    argv,
    { env },
  );

describe('a config', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bundles-config-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const token = `{name: ci, sha256: ${'a'.repeat(64)}, rights: [publish], bundles: [authz]}`;
  const good = [
    'storage: {disk: {dir: store}}',
    'audit_log: audit.jsonl',
    'bundles: {authz: {keys: {k: k.pem}, scope: prod}}',
    `tokens: [${token}]`,
  ];
  const check = (...lines: readonly string[]) => {
    const file = join(folder, 'bundle-server.yaml');
    writeFileSync(file, lines.join('\n'));
    return sallyport('bundles', 'serve', '--config', file, '--check');
  };

  test('that is good has no faults', async () => {
    expect(await check(...good)).toMatchObject({ code: 0 });
  });

  test.each([
    ['listen: 0.0.0.0:8383', 'listen: `0.0.0.0:8383` is off loopback'],
    ['listen: nowhere', 'listen: `nowhere` is not a listen address'],
    ['tls: {cert: none.crt, key: none.key}', 'tls.cert: '],
    ['hostz: []', 'hostz: is not a key that is known here; did you mean `hosts`'],
    ['limits: {max_waiters: 0}', 'limits.max_waiters: must be >= 1'],
    ['limits: {max_archive_bytes: 100000000}', 'limits.cache_bytes: is less than'],
  ])('with `%s` is refused', async (line, wanted) => {
    const { code, stderr } = await check(...good, line);
    expect([code, stderr]).toEqual([3, expect.stringContaining(wanted)]);
    expect(stderr).toContain('bundle-server.yaml:5');
  });

  test.each([
    [0, 'storage: {}', 'storage: names either `disk` or `s3`'],
    [
      0,
      'storage: {s3: {endpoint: "http://s3.example.com", bucket: b-1, access_key_id: a, secret_access_key: b}}',
      'off loopback',
    ],
    [2, 'bundles: {Authz: {keys: {k: k.pem}, scope: prod}}', 'bundles'],
    [2, 'bundles: {authz: {keys: {k: k.pem}, scope: prod, channels: {default: x}}}', '`x` is not in `names`'],
    [2, 'bundles: {authz: {keys: {}, scope: prod}}', 'bundles.authz.keys'],
    [3, `tokens: [${token}, ${token}]`, 'tokens[1].sha256: is there twice'],
    [3, `tokens: [${token.replace('[authz]', '[other]')}]`, '`other` is not in `bundles`'],
    [3, `tokens: [${token.replace('[publish]', '[root]')}]`, 'is none of `read`, `publish`'],
  ])('with line %i as `%s` is refused', async (at, line, wanted) => {
    const { code, stderr } = await check(...good.with(at, line));
    expect([code, stderr]).toEqual([3, expect.stringContaining(wanted)]);
  });

  test('the shipped sample asks for nothing but its certificate', async () => {
    const file = join(ROOT, 'deploy/bundle-server/bundle-server.yaml');
    const sha = (letter: string) => letter.repeat(64);
    const text = readFileSync(file, 'utf8')
      .replaceAll(/"\$\{([A-Z])[A-Z]+_TOKEN_SHA256\}"/g, (_all, letter: string) =>
        sha(letter === 'C' ? 'c' : letter === 'O' ? 'd' : 'e'),
      )
      .replace(/^ {2}# .*$/gm, '')
      .replace(/^#.*$/gm, '');
    const { code, stderr } = await check(text);
    expect([code, stderr.trim().split('\n').length]).toEqual([3, 2]);
    expect(stderr).toMatch(/tls\.cert: .*\n.*tls\.key: /);
  });
});

describe('the commands', () => {
  const author = newSigner('author-1');
  const one = release(author, 1);
  let server: OpenServer;
  let url: string;
  let file: string;
  beforeAll(async () => {
    server = await openServer({ keys: { 'author-1': author.publicPem } });
    url = `http://127.0.0.1:${server.port}/v1/bundles/authz`;
    file = join(server.folder, 'authz.tar.gz');
    writeFileSync(file, one.bytes);
    writeFileSync(`${file}.jws`, `${one.jws}\n`);
  });
  afterAll(() => server.stop());

  test('publish, promote, list and look at the fleet', async () => {
    const published = await sallyport('bundles', 'publish', file, '--to', url, '--token-env', 'PUBLISH');
    expect(published).toMatchObject({ code: 0, stdout: expect.stringContaining(one.sha256) });
    expect(await sallyport('bundles', 'promote', one.sha256, '--to', url, '--token-env', 'PROMOTE')).toMatchObject({
      code: 0,
      stdout: 'authz: stable is at version 1, revision r1\n',
    });
    const list = await sallyport('bundles', 'list', '--from', url, '--token-env', 'READ');
    expect(list.stdout).toMatch(/VERSION +REVISION[\s\S]+1 +r1 +[0-9a-f]{16} .*stable/);
    const from = ['fleet', '--from', `http://127.0.0.1:${server.port}`, '--token-env', 'FLEET'];
    expect(await sallyport(...from, '--expect-revision', 'r1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no instance'),
    });
    await server.report('report', {
      labels: { id: 'i-1' },
      bundles: { authz: { active_revision: 'r1', code: 'a\u001b[31m' } },
    });
    const shown = await sallyport(...from, '--expect-revision', 'r1');
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('report/i-1') });
    expect(shown.stdout).not.toContain('\u001b');
    await server.report('report', { labels: { id: 'i-2' }, bundles: { authz: { active_revision: 'r0' } } });
    const split = await sallyport(...from, '--expect-revision', 'r1');
    expect(split).toMatchObject({ code: 1, stderr: expect.stringContaining('1 of 2') });
    expect(split.stdout).toContain('! unknown_revision');
  });

  test.each([
    ['a wrong right', ['bundles', 'publish', 'FILE', '--to', 'URL', '--token-env', 'READ'], 1, '403 (forbidden)'],
    ['no token', ['bundles', 'list', '--from', 'URL'], 1, '401 (unauthenticated)'],
    ['a variable that is not set', ['bundles', 'list', '--from', 'URL', '--token-env', 'NONE'], 2, '`NONE` is not set'],
    [
      'a token in the clear',
      ['bundles', 'list', '--from', 'http://bundles.example.com/v1/bundles/authz'],
      2,
      'not https',
    ],
    ['no bundle in the URL', ['bundles', 'list', '--from', 'https://bundles.example.com'], 2, 'names no bundle'],
    ['no such file', ['bundles', 'publish', 'none.tar.gz', '--to', 'URL', '--token-env', 'PUBLISH'], 4, 'cannot read'],
    ['a short digest', ['bundles', 'promote', 'abc', '--to', 'URL'], 2, 'is no SHA-256'],
    [
      'a flag of another action',
      ['bundles', 'list', '--from', 'URL', '--percent', '10'],
      2,
      '--percent is not for list',
    ],
    ['no action', ['bundles'], 2, 'say what to do'],
    ['no server', ['fleet', '--from', 'http://127.0.0.1:1'], 1, 'does not answer'],
  ])('%s is told', async (_title, argv, code, wanted) => {
    const ran = await sallyport(...argv.map((each) => (each === 'URL' ? url : each === 'FILE' ? file : each)));
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(wanted)]);
  });
});
