import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Io } from '../../../src/cli/command.ts';
import { tellError } from '../../../src/cli/exit-code.ts';
import { createKeys } from '../../../src/cli/keys.ts';
import { parseKeyFile } from '../../../src/identity/api-key-file.ts';
import { parseApiKey } from '../../../src/identity/api-key-format.ts';
import { digestSecret } from '../../../src/identity/api-key-verify.ts';
import { runCaptured } from '../../support/captured-io.ts';

let folder: string;
let file: string;
let nowMs: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
  file = join(folder, 'api-keys.yaml');
  nowMs = Date.UTC(2026, 10, 22);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const run = (action: string, ...more: readonly string[]) => {
  const command = createKeys({ nowMs: () => nowMs, randomBytes });
  const exitCodeOf = (argv: readonly string[], io: Io) =>
    command(argv, io).catch((error) => tellError(error, 'keys', io));
  return runCaptured(exitCodeOf, [action, '--file', 'api-keys.yaml', ...more], { cwd: folder });
};

const create = async (...more: readonly string[]) => {
  const { code, stdout, stderr } = await run('create', '--tenant', 'tenant-a', '--tier', 'premium', ...more);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('it is shown only now') });
  const key = parseApiKey(stdout.trimEnd());
  if (key === undefined) throw new Error(`no key: ${stdout}`);
  return key;
};

const records = async () => {
  const { records: found, faults } = parseKeyFile(await readFile(file));
  expect(faults).toEqual([]);
  return found;
};

describe('create', () => {
  test('prints the key once, alone on stdout, and writes its digest', async () => {
    const { id, secret } = await create(
      ...['--role', 'inference', '--role', 'embed', '--model', 'llama-3-8b', '--subject', 'robot', '--name', 'ci: #1'],
      ...['--expires', '90d', '--not-before', '2026-12-01', '--address', '10.0.0.0/8', '--address', '::1'],
    );
    const record = (await records()).get(id);
    expect(record).toMatchObject({
      tenant: 'tenant-a',
      tier: 'premium',
      roles: ['inference', 'embed'],
      models: ['llama-3-8b'],
      subject: 'robot',
      notBeforeMs: Date.UTC(2026, 11, 1),
      expiresAtMs: nowMs + 90 * 86_400_000,
      revoked: false,
    });
    expect(Buffer.from(record?.secretDigest ?? [])).toEqual(digestSecret(secret));
    expect(await readFile(file, 'utf8')).not.toContain(secret);
  });

  test('makes the file for its owner alone, and leaves nothing beside it', async () => {
    await create();
    await create();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['api-keys.yaml']);
    expect((await records()).size).toBe(2);
  });

  test('keeps the comments and the other keys of the file, and a link a link', async () => {
    const old = await create();
    const text = await readFile(file, 'utf8');
    await writeFile(join(folder, 'real.yaml'), text.replace('  - id', '  # the first\n  - id'));
    await rm(file);
    await symlink('real.yaml', file);
    const { id } = await create();
    expect(await readFile(join(folder, 'real.yaml'), 'utf8')).toContain('# the first');
    expect([...(await records()).keys()]).toEqual([old.id, id]);
  });

  test.each([
    ['no tenant', ['--tier', 'free'], 'a key needs --tenant and --tier'],
    ['an empty tenant', ['--tier', 'free', '--tenant', ''], 'tenant must match pattern'],
    ['a wrong address', ['--tier', 'free', '--tenant', 't', '--address', '10.0.0.0/40'], '`10.0.0.0/40` is no address'],
    ['a wrong time', ['--tier', 'free', '--tenant', 't', '--expires', 'tomorrow'], '`--expires tomorrow` is no time'],
    ['an id', ['--tier', 'free', '--tenant', 't', 'abc'], 'the id of a new key is not chosen'],
    ['a flag of another action', ['--tier', 'free', '--tenant', 't', '--overlap', '1h'], '--overlap is not for create'],
  ])('with %s is a usage fault, and writes nothing', async (_name, argv, message) => {
    const { code, stdout, stderr } = await run('create', ...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('list', () => {
  test('shows the state of every key, and neither secret nor digest', async () => {
    const keys = [await create(), await create('--expires', '1h'), await create('--not-before', '9d'), await create()];
    const text = await readFile(file, 'utf8');
    await run('revoke', keys[0]?.id ?? '');
    nowMs += 3_600_000;
    const table = await run('list');
    expect(
      table.stdout
        .split('\n')
        .slice(1, 5)
        .map((line) => line.split(/ {2,}/)[1]),
    ).toEqual(['revoked', 'expired', 'not yet valid', 'active']);
    const json = await run('list', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject(keys.map(({ id }) => ({ id })));
    const digests = [...text.matchAll(/[0-9a-f]{64}/g)].map(([digest]) => digest);
    expect(digests).toHaveLength(4);
    for (const secret of [...digests, ...keys.map((key) => key.secret)]) {
      expect(table.stdout + json.stdout).not.toContain(secret);
    }
  });
});

describe('rotate', () => {
  test.each([
    ['a day, unless told', [], 24 * 3_600_000],
    ['an hour', ['--overlap', '1h'], 3_600_000],
    ['no time', ['--overlap', '0s'], 0],
  ])('makes a like key and leaves the old one good for %s', async (_name, flags, overlapMs) => {
    const old = await create('--role', 'inference', '--model', 'm', '--address', '10.0.0.1', '--expires', '30d');
    const { code, stdout } = await run('rotate', old.id, ...flags);
    expect(code).toBe(0);
    const made = parseApiKey(stdout.trimEnd());
    const found = await records();
    expect(found.get(old.id)?.expiresAtMs).toBe(nowMs + overlapMs);
    const record = found.get(made?.id ?? '');
    expect(record).toMatchObject({
      tenant: 'tenant-a',
      tier: 'premium',
      roles: ['inference'],
      models: ['m'],
      revoked: false,
      expiresAtMs: nowMs + 30 * 86_400_000,
    });
    expect(record?.addresses?.rules).toEqual(['Subnet: IPv4 10.0.0.1/32']);
    expect(record?.secretDigest).not.toEqual(found.get(old.id)?.secretDigest);
    expect(found.size).toBe(2);
  });

  test('never lets the old one live longer than it would have', async () => {
    const old = await create('--expires', '1h');
    await run('rotate', old.id, '--overlap', '7d', '--expires', '90d');
    expect((await records()).get(old.id)?.expiresAtMs).toBe(nowMs + 3_600_000);
  });

  test('does not revive a key that is revoked or expired', async () => {
    const [revoked, expired] = [await create(), await create('--expires', '1s')];
    await run('revoke', revoked.id);
    nowMs += 1000;
    for (const [key, state] of [
      [revoked, 'revoked'],
      [expired, 'expired'],
    ] as const) {
      const { code, stdout, stderr } = await run('rotate', key.id);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(`key \`${key.id}\` is ${state}`);
    }
    expect((await records()).size).toBe(2);
  });
});

describe('revoke', () => {
  test('ends the keys that are named, and is the same when done twice', async () => {
    const [first, second, third] = [await create(), await create(), await create()];
    expect(await run('revoke', first.id, third.id)).toMatchObject({ code: 0 });
    expect(await run('revoke', first.id)).toMatchObject({ code: 0 });
    const found = await records();
    expect([first, second, third].map(({ id }) => found.get(id)?.revoked)).toEqual([true, false, true]);
  });

  test('of one key that is not there revokes none', async () => {
    const key = await create();
    const { code, stderr } = await run('revoke', key.id, 'aaaaaaaaaaaaaaaa');
    expect(code).toBe(1);
    expect(stderr).toContain('there is no key `aaaaaaaaaaaaaaaa`');
    expect((await records()).get(key.id)?.revoked).toBe(false);
  });
});

describe('what goes wrong leaves the file as it was', () => {
  test('a broken file is named with its faults, exit 3', async () => {
    await writeFile(file, 'keys:\n  - id: x\n');
    for (const argv of [['list'], ['revoke', 'x'], ['create', '--tenant', 't', '--tier', 'free']] as const) {
      const [action, ...more] = argv;
      const { code, stderr } = await run(action, ...more);
      expect(code).toBe(3);
      expect(stderr).toContain(`${file}: line 2: keys[0].id: `);
    }
    expect(await readFile(file, 'utf8')).toBe('keys:\n  - id: x\n');
  });

  test.each([['list'], ['rotate'], ['revoke']])('%s without a file says how to make one, exit 1', async (action) => {
    const { code, stderr } = await run(action, ...(action === 'list' ? [] : ['x']));
    expect(code).toBe(1);
    expect(stderr).toContain('`sallyport keys create` makes it');
    expect(await readdir(folder)).toEqual([]);
  });

  test('two writers wait for each other, and neither loses a key', async () => {
    await Promise.all(Array.from({ length: 8 }, () => create()));
    expect((await records()).size).toBe(8);
  });

  test('a lock that stays is named, exit 1', async () => {
    await create();
    await writeFile(`${file}.lock`, '');
    const { code, stderr } = await run('create', '--tenant', 't', '--tier', 'free');
    expect(code).toBe(1);
    expect(stderr).toContain('api-keys.yaml.lock` says that another writer is at it');
    expect((await records()).size).toBe(1);
  });
});

test.each([
  [['frobnicate'], '`frobnicate` is none of create, list, rotate and revoke'],
  [['rotate'], 'name the one ID to rotate'],
  [['rotate', 'a', 'b'], 'name the one ID to rotate'],
  [['rotate', 'a', '--overlap', '1w'], '`--overlap 1w` is no span of time'],
  [['revoke'], 'name the ID to revoke'],
  [['revoke', 'a', '--json'], '--json is not for revoke'],
  [['list', 'a'], 'name no ID'],
])('`keys %s` is a usage fault', async ([action = '', ...more], message) => {
  const { code, stderr } = await run(action, ...more);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});
