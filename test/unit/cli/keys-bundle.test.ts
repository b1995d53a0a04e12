import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHighWaterMark } from '../../../src/bundle/signing/high-water-mark.ts';
import { openSigner } from '../../../src/bundle/signing/key-folder.ts';
import type { Command, Io } from '../../../src/cli/command.ts';
import { tellError } from '../../../src/cli/exit-code.ts';
import { createKeys } from '../../../src/cli/keys.ts';
import { createVerify } from '../../../src/cli/verify.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { claimsOf, orderOf, SIGNED_AT_S, signedDownload } from '../../support/signed-bundles.ts';
import { SHIPPED } from '../bundle/shipped.ts';

let folder: string;
let nowMs: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-bundle-'));
  nowMs = SIGNED_AT_S * 1000;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const run = (command: Command, ...argv: readonly string[]) =>
  runCaptured((args, io: Io) => command(args, io).catch((error) => tellError(error, 'x', io)), argv, { cwd: folder });
const keys = (...argv: readonly string[]) =>
  run(createKeys({ nowMs: () => nowMs, randomBytes: (size) => new Uint8Array(size) }), 'bundle', ...argv);
const verify = (...argv: readonly string[]) => run(createVerify({ nowMs: () => nowMs }), ...argv);

const publish = async () => {
  const { bytes, signature } = signedDownload(SHIPPED, await openSigner(join(folder, 'keys')));
  await writeFile(join(folder, 'authz.tar.gz'), bytes);
  await writeFile(join(folder, 'authz.tar.gz.jws'), `${signature}\n`);
  return bytes;
};

test('keys are made with a private file of mode 0600, sign, rotate, and expire after their overlap', async () => {
  expect((await keys('create', '--out', 'keys', '--kid', 'first')).code).toBe(0);
  expect((await readdir(join(folder, 'keys'))).sort()).toEqual(['first.private.pem', 'first.public.pem', 'keys.json']);
  expect((await stat(join(folder, 'keys/first.private.pem'))).mode & 0o777).toBe(0o600);
  expect((await keys('create', '--out', 'keys')).code).toBe(4);
  await publish();
  expect((await keys('rotate', '--out', 'keys', '--alg', 'EdDSA', '--kid', 'second', '--overlap', '30m')).code).toBe(0);
  expect((await openSigner(join(folder, 'keys'))).kid).toBe('second');
  expect((await verify('authz.tar.gz', '--keys', 'keys')).code).toBe(0);
  nowMs += 31 * 60_000;
  expect(await verify('authz.tar.gz', '--keys', 'keys')).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('trust.keys'),
  });
  expect((await verify('authz.tar.gz', '--keys', 'keys/first.public.pem')).code).toBe(0);
  expect(await readFile(join(folder, 'keys/keys.json'), 'utf8')).not.toContain('"d"');
});

test('verify exits 4 for what is refused and 0 for what is believed, in both forms', async () => {
  await keys('create', '--out', 'keys');
  const bytes = await publish();
  const opa = ['--signature', 'opa', '--name', 'authz', '--scope', 'prod'];
  expect(await verify('authz.tar.gz', '--keys', 'keys')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('is believed'),
  });
  expect((await verify('authz.tar.gz', '--keys', 'keys', ...opa)).code).toBe(0);
  expect((await verify('authz.tar.gz', '--keys', 'keys', '--scope', 'test')).code).toBe(4);
  expect((await verify('authz.tar.gz', '--keys', 'keys', '--signature', 'opa')).code).toBe(2);
  expect((await verify('authz.tar.gz')).code).toBe(2);
  nowMs += 4_000_000;
  expect(await verify('authz.tar.gz', '--keys', 'keys')).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('expired'),
  });
  nowMs -= 4_000_000;
  await writeFile(join(folder, 'authz.tar.gz'), Buffer.concat([bytes, Buffer.alloc(1)]));
  expect((await verify('authz.tar.gz', '--keys', 'keys')).code).toBe(4);
  expect((await verify('authz.tar.gz', '--keys', 'keys', ...opa)).code).toBe(4);
  expect((await verify('other.tar.gz', '--keys', 'keys')).code).toBe(4);
});

test('an operator sees and lowers a mark, and is told what it was', async () => {
  const mark = createHighWaterMark({ folder, clock: createManualClock({ epochMs: nowMs }) });
  await mark.raise(claimsOf(), 'aa'.repeat(32));
  const of = ['mark', '--data-dir', '.', '--name', 'authz', '--scope', 'prod'];
  expect((await keys(...of)).stdout).toContain('"version":7');
  expect(await keys(...of, '--lower-to', '5')).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('from 7 to 5'),
  });
  expect((await keys(...of)).stdout).toContain('"version":5');
  await mark.raiseOrder(orderOf({ version: 9 }));
  await keys(...of, '--lower-to', '4');
  expect((await mark.read()).orders.get('prod authz')?.version).toBe(9);
  expect(await keys(...of, '--forget-orders', '--reset-time')).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('the order 9 was forgotten, the latest time seen was forgotten'),
  });
  expect(await mark.read()).toMatchObject({ latestEpochS: 0, orders: new Map() });
  expect((await keys(...of)).stdout).toContain('"version":4');
  expect((await keys(...of, '--lower-to', 'x')).code).toBe(2);
  expect((await keys('mark', '--data-dir', '.')).code).toBe(2);
  expect((await keys('create', '--lower-to', '5')).code).toBe(2);
});
