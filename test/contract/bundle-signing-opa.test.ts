import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveFiles, packArchive, readArchive } from '../../src/bundle/archive.ts';
import { parseBundle } from '../../src/bundle/bundle.ts';
import { gunzipOne } from '../../src/bundle/gzip.ts';
import { fromBundleClaims, verifyBundleSignature } from '../../src/bundle/signing/bundle-signature.ts';
import { packStored } from '../../src/bundle/signing/canonical-form.ts';
import { createKeyFolder, loadPublicKeys, openSigner } from '../../src/bundle/signing/key-folder.ts';
import { toSignedForm, verifyOpaSignature } from '../../src/bundle/signing/opa-signature.ts';
import { rebuildDiffers } from '../../src/bundle/signing/rebuild.ts';
import { claimsOf, refusalOf, signedDownload } from '../support/signed-bundles.ts';
import { ROOT, requireTool } from '../support/tools.ts';
import { repacked, SHIPPED } from '../unit/bundle/shipped.ts';

const run = promisify(execFile);
const opa = requireTool('opa');
const capabilities = join(ROOT, 'bundles/capabilities.json');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-signing-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Data in which a digest depends on every rule of OPA's own text: order, escapes, numbers. */
const AWKWARD = `{ "catalog" : {"z":1.0,"a":[1e3,12345678901234567890,-0.5,true,null],"ü":"<&>\\u2028","😀":"\\u0001\\t\\"\\\\","\uffee":"\\ud83d\\ude00\\b\\f"} }\n`;

describe.each(['ES256', 'EdDSA'] as const)('with a key for %s', (alg) => {
  const keysOf = async () => {
    const { privateFile, publicFile } = await createKeyFolder(join(folder, 'keys'), { alg });
    const keys = await loadPublicKeys(join(folder, 'keys'), 0);
    return { privateFile, publicFile, keys, signer: await openSigner(join(folder, 'keys')) };
  };
  const opaVerifies = (file: string, publicFile: string, scope: string) => opaVerifiesBy(alg, file, publicFile, scope);

  test.each([
    ['the shipped bundle', SHIPPED],
    ['awkward data', repacked({ 'data.json': AWKWARD })],
  ])('one archive serves both: opa and we verify what we sign, %s', async (_what, archive) => {
    const { publicFile, keys, signer } = await keysOf();
    const { bytes, signature } = signedDownload(archive, signer);
    const expected = { keys, scope: 'prod', name: 'authz' };
    expect(verifyBundleSignature(bytes, signature, expected).version).toBe(7);
    expect((await verifyOpaSignature(bytes, expected)).version).toBe(7);
    const stored = packStored(readArchive(bytes));
    expect((await verifyOpaSignature(stored, expected)).version).toBe(7);
    for (const packed of [bytes, stored]) {
      const file = join(folder, 'bundle.tar.gz');
      await writeFile(file, packed);
      await opaVerifies(file, publicFile, 'prod');
      await expect(opaVerifies(file, publicFile, 'test')).rejects.toThrow(/scope mismatch/);
    }
    expect(parseBundle('authz', bytes).entrypoints).toEqual(['authz/decision', 'authz/limits']);
  });

  test('opa refuses what was changed after we signed it', async () => {
    const { publicFile, signer } = await keysOf();
    const files = new Map(readArchive(signedDownload(SHIPPED, signer).bytes));
    files.set('authz/authz.rego', Buffer.concat([files.get('authz/authz.rego') ?? Buffer.alloc(0), Buffer.from('\n')]));
    const file = join(folder, 'bundle.tar.gz');
    await writeFile(file, packArchive(files));
    await expect(opaVerifies(file, publicFile, 'prod')).rejects.toThrow(/digest mismatch/);
  });

  test('we verify what `opa sign` signs, packed anew in canonical form', async () => {
    const { privateFile, publicFile, keys } = await keysOf();
    const tree = join(folder, 'tree');
    const files = readArchive(repacked({ 'data.json': AWKWARD, 'cases.json': '[]' }));
    for (const [name, content] of files) {
      await mkdir(dirname(join(tree, name)), { recursive: true });
      await writeFile(join(tree, name), content);
    }
    await writeFile(join(folder, 'claims.json'), JSON.stringify(fromBundleClaims(claimsOf())));
    const claims = join(folder, 'claims.json');
    const args = ['sign', '--signing-key', privateFile, '--signing-alg', alg, '--claims-file', claims, '--bundle', '.'];
    await run(opa, args, { cwd: tree });
    const signatures = new Uint8Array(await readFile(join(tree, '.signatures.json')));
    const asSigned: ArchiveFiles = new Map([...files, ['.signatures.json', signatures]]);
    const expected = { keys, scope: 'prod', name: 'authz' };
    // OPA signs what JSON means; its bytes are free until they are in the form that OPA hashes.
    expect(await refusalOf(() => verifyOpaSignature(packArchive(asSigned), expected))).toMatch(
      /`\.manifest` .*form that OPA hashes/,
    );
    const bytes = packArchive(toSignedForm(asSigned));
    expect(await verifyOpaSignature(bytes, expected)).toEqual(claimsOf());
    expect(await refusalOf(() => verifyOpaSignature(bytes, { ...expected, scope: 'test' }))).toMatch(/scope/);
    const file = join(folder, 'bundle.tar.gz');
    await writeFile(file, bytes);
    await opaVerifies(file, publicFile, 'prod');
  });
});

test('HMAC signatures of opa are refused', async () => {
  const { keys } = { keys: (await keysWith()).keys };
  const tree = join(folder, 'tree');
  await mkdir(tree, { recursive: true });
  await writeFile(join(tree, 'data.json'), '{}');
  for (const alg of ['HS256', 'HS512']) {
    await run(opa, ['sign', '--signing-key', 'secret', '--signing-alg', alg, '--bundle', '.'], { cwd: tree });
    const signatures = new Uint8Array(await readFile(join(tree, '.signatures.json')));
    const bytes = packArchive(
      new Map([
        ['data.json', Buffer.from('{}')],
        ['.signatures.json', signatures],
      ]),
    );
    expect(await refusalOf(() => verifyOpaSignature(bytes, { keys, scope: 'prod', name: 'authz' }))).toMatch(
      /^bundle_untrusted: .*(not of ES256|is for its algorithm)/,
    );
  }
});

test('the gzip and tar of another writer are refused, though opa takes them', async () => {
  const { signer, keys, publicFile } = await keysWith();
  const { bytes } = signedDownload(SHIPPED, signer);
  const expected = { keys, scope: 'prod', name: 'authz' };
  await writeFile(join(folder, 'plain.tar'), gunzipOne(bytes, 2 ** 26));
  for (const level of ['-1', '-6']) {
    const { stdout } = await run('gzip', ['-n', level, '-c', join(folder, 'plain.tar')], {
      encoding: 'buffer',
      maxBuffer: 2 ** 26,
    });
    await writeFile(join(folder, 'other.tar.gz'), stdout);
    expect(await refusalOf(() => verifyOpaSignature(new Uint8Array(stdout), expected))).toMatch(
      /gzip is not in canonical form/,
    );
    await run(opa, [
      'build',
      '-b',
      join(folder, 'other.tar.gz'),
      '--verification-key',
      publicFile,
      '--signing-alg',
      'ES256',
      '--scope',
      'prod',
      '-o',
      join(folder, 'out.tar.gz'),
    ]);
  }
});

test('a rebuild proves where plan and Wasm come from, and finds what does not', async () => {
  const again = (bytes: Uint8Array) =>
    rebuildDiffers({ opa, bundle: parseBundle('authz', bytes), files: readArchive(bytes), capabilities });
  const { signer } = await keysWith();
  expect(await again(signedDownload(SHIPPED, signer).bytes)).toEqual([]);
  const source = Buffer.from(readArchive(SHIPPED).get('authz/authz.rego') ?? []).toString();
  const changed = source.replace('default allow := false', 'default allow := true');
  expect(changed).not.toBe(source);
  expect(await again(repacked({ 'authz/authz.rego': changed }))).toEqual(['plan.json', 'policy.wasm']);
});

/** Rejects with OPA's own words. */
async function opaVerifiesBy(alg: string, file: string, publicFile: string, scope: string): Promise<void> {
  const out = join(folder, 'out.tar.gz');
  const key = ['--verification-key', publicFile, '--signing-alg', alg, '--scope', scope];
  try {
    await run(opa, ['build', '-b', file, ...key, '-o', out]);
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    throw new Error(`${stdout}${stderr}`, { cause: error });
  }
}

async function keysWith() {
  const { publicFile } = await createKeyFolder(join(folder, 'keys'), { alg: 'ES256' });
  return {
    publicFile,
    keys: await loadPublicKeys(join(folder, 'keys'), 0),
    signer: await openSigner(join(folder, 'keys')),
  };
}
