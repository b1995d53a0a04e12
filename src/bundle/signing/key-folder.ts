import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isObject } from '../../decision/json.ts';
import { BundleError } from '../errors.ts';
import { loadSigner, type Signer } from './signer.ts';
import { algorithmOf, KID, parseTrustKeys, type SigningAlgorithm, type TrustKeys } from './trust-keys.ts';

/** The public keys of a folder, as a JWK Set: the first one signs. */
export const KEY_SET_FILE = 'keys.json';

/** A key pair that was written. */
export interface WrittenKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  /** Mode 0600. */
  readonly privateFile: string;
  readonly publicFile: string;
}

/** Makes a key pair in a folder that has none; the folder is made too. */
export async function createKeyFolder(folder: string, options: NewKey): Promise<WrittenKey> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (await exists(join(folder, KEY_SET_FILE))) {
    throw unusable(`\`${folder}\` has keys already; \`sallyport keys bundle rotate\` adds one`);
  }
  return addKey(folder, [], options);
}

/** Adds a key that signs from now on; the others stay believed until `overlapEndsEpochS`, where it is given. */
export async function rotateKeyFolder(
  folder: string,
  options: NewKey & { readonly overlapEndsEpochS?: number },
): Promise<WrittenKey> {
  const ends = options.overlapEndsEpochS;
  const old = (await readKeySet(folder)).map((jwk) => {
    const exp = Math.min(jwk.exp ?? Number.POSITIVE_INFINITY, ends ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(exp) ? { ...jwk, exp } : jwk;
  });
  return addKey(folder, old, options);
}

export interface NewKey {
  readonly alg: SigningAlgorithm;
  /** Default: made from the key. */
  readonly kid?: string;
}

/** What to verify with: a folder's key set without the keys whose overlap is over, or one PEM or JWK file. */
export async function loadPublicKeys(path: string, nowEpochS: number): Promise<TrustKeys> {
  if (!(await isFolder(path))) {
    const text = await readText(path);
    return parseTrustKeys(new Map([[kidOfFile(path, '.public.pem') ?? kidOfText(text), text]]));
  }
  const current = (await readKeySet(path)).filter(({ exp }) => exp === undefined || exp > nowEpochS);
  return parseTrustKeys(new Map(current.map((jwk) => [jwk.kid, JSON.stringify(jwk)])));
}

/** What to sign with: the first key of a folder's set, or one PEM file. */
export async function openSigner(path: string): Promise<Signer> {
  if (!(await isFolder(path))) {
    const kid = kidOfFile(path, '.private.pem') ?? kidOfText(await readText(path));
    return loadSigner({ keyFile: path, kid });
  }
  const [first] = await readKeySet(path);
  if (first === undefined) throw unusable(`\`${join(path, KEY_SET_FILE)}\` has no key`);
  const signer = await loadSigner({ keyFile: join(path, `${first.kid}.private.pem`), kid: first.kid });
  if (toJwk(first.kid, createPublicKey(signer.publicPem)).x !== first.x) {
    throw unusable(`\`${first.kid}.private.pem\` is not the private key of \`${first.kid}\` in \`${KEY_SET_FILE}\``);
  }
  return signer;
}

interface Jwk {
  readonly kid: string;
  readonly x: string;
  /** Epoch seconds from which it is no longer believed. */
  readonly exp?: number;
  readonly [member: string]: unknown;
}

async function addKey(folder: string, others: readonly Jwk[], { alg, kid: chosen }: NewKey): Promise<WrittenKey> {
  const pair = alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = chosen ?? kidOf(pair.publicKey);
  if (!KID.test(kid)) throw unusable(`\`${kid.slice(0, 64)}\` is no kid: use letters, digits, \`.\`, \`_\` and \`-\``);
  if (others.some((jwk) => jwk.kid === kid)) throw unusable(`there is a key \`${kid}\` already`);
  const privateFile = join(folder, `${kid}.private.pem`);
  const publicFile = join(folder, `${kid}.public.pem`);
  await writeNew(privateFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  await writeNew(publicFile, pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(), 0o644);
  const set = { keys: [toJwk(kid, pair.publicKey), ...others] };
  const partial = join(folder, `${KEY_SET_FILE}.partial`);
  await writeFile(partial, `${JSON.stringify(set, undefined, 2)}\n`, { mode: 0o644 });
  await rename(partial, join(folder, KEY_SET_FILE));
  return { kid, alg, privateFile, publicFile };
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    await using handle = await open(file, 'wx', mode);
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    throw unusable(`cannot write \`${file}\`; is there a key of that name already?`, error);
  }
}

function toJwk(kid: string, key: KeyObject): Jwk {
  const { kty, crv, x = '', y } = key.export({ format: 'jwk' });
  return { kty, crv, x, ...(y === undefined ? {} : { y }), kid, alg: algorithmOf(key), use: 'sig' };
}

/** Of the key itself, so that two keys never share one. */
function kidOf(key: KeyObject): string {
  const digest = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return `bundle-${digest.slice(0, 16)}`;
}

function kidOfText(pem: string): string {
  try {
    if (pem.trimStart().startsWith('{')) {
      const jwk: unknown = JSON.parse(pem);
      if (isObject(jwk) && typeof jwk['kid'] === 'string') return jwk['kid'];
    }
    return kidOf(createPublicKey(pem.includes('PRIVATE KEY') ? createPrivateKey(pem) : pem));
  } catch (error) {
    throw unusable('the key file is neither a PEM key nor a JWK with a `kid`', error);
  }
}

function kidOfFile(path: string, ending: string): string | undefined {
  const name = basename(path);
  return name.endsWith(ending) ? name.slice(0, -ending.length) : undefined;
}

async function readKeySet(folder: string): Promise<readonly Jwk[]> {
  const file = join(folder, KEY_SET_FILE);
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unusable(`\`${file}\` is no JSON`, error);
  }
  const keys: unknown = isObject(value) ? value['keys'] : undefined;
  if (!Array.isArray(keys) || !keys.every(isJwk))
    throw unusable(`\`${file}\` is no JWK Set as \`sallyport\` writes it`);
  return keys;
}

function isJwk(value: unknown): value is Jwk {
  if (!isObject(value) || typeof value['kid'] !== 'string' || typeof value['x'] !== 'string') return false;
  return KID.test(value['kid']) && (value['exp'] === undefined || Number.isSafeInteger(value['exp']));
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unusable(`cannot read \`${file}\`; \`sallyport keys bundle create --out DIR\` makes keys`, error);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function unusable(message: string, cause?: unknown): BundleError {
  return new BundleError('bundle_untrusted', message, { cause });
}
