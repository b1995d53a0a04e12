import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { packArchive, readArchive } from '../bundle/archive.ts';
import type { BuiltBundle } from '../bundle/builder.ts';
import { parseBundle } from '../bundle/bundle.ts';
import { fromBundleClaims, signBundle, toBundleClaims } from '../bundle/signing/bundle-signature.ts';
import { packStored } from '../bundle/signing/canonical-form.ts';
import type { BundleClaims } from '../bundle/signing/claims.ts';
import { openSigner } from '../bundle/signing/key-folder.ts';
import { signForOpa } from '../bundle/signing/opa-signature.ts';
import type { Signer } from '../bundle/signing/signer.ts';
import { digestLine, replaceFile } from './bundle-files.ts';
import { EXIT, type Io, UsageError } from './command.ts';
import { parseMoment, toTime } from './keys-time.ts';

/** The part of the help of `build` that is about signing. */
export const SIGN_HELP = `
      --sign              sign it: OUT.jws is written beside it, and OPA's .signatures.json goes into it
      --key DIR|FILE      what to sign with: a folder of \`sallyport keys bundle create\`, or a PEM private key
      --scope SCOPE       where it is meant for, such as prod; agents compare it with \`trust.scope\`
      --name NAME         the bundle's name in the agents' config (default: the file's name)
      --version N         grows with every release (default: the time in seconds)
      --expires-days N    how long it may be activated (default: 90)
      --not-before WHEN   2027-01-31, 2027-01-31T12:00:00Z or 2d from now (default: now)
      --min-rollback-version N  no version below N may come back by an automatic rollback (default: 0)
      --security          it mends a hole: a rollout of it pauses and is not rolled back
      --detached-only     leave .signatures.json out: an OPA without keys then takes the bundle too
      --stored            do not compress: the form that \`{signature: opa}\` takes on every machine
      --repack FILE       write FILE anew to --out in canonical form; needs no key, and OPA's signature stays good`;

/** What `parseArguments` is told of them. */
export const SIGN_OPTIONS = {
  sign: { type: 'boolean', default: false },
  key: { type: 'string' },
  scope: { type: 'string' },
  name: { type: 'string' },
  version: { type: 'string' },
  'expires-days': { type: 'string' },
  'not-before': { type: 'string' },
  'min-rollback-version': { type: 'string' },
  security: { type: 'boolean', default: false },
  'detached-only': { type: 'boolean', default: false },
  stored: { type: 'boolean', default: false },
} as const;

/** What is to be signed, but for the digest and the name of the file. */
export interface Signing {
  readonly signer: Signer;
  readonly claims: Omit<BundleClaims, 'sha256' | 'sizeBytes' | 'name' | 'revision'>;
  readonly name?: string;
  readonly inside: boolean;
  readonly stored: boolean;
}

interface SignValues {
  readonly sign: boolean;
  readonly check: boolean;
  readonly key?: string | undefined;
  readonly scope?: string | undefined;
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly 'expires-days'?: string | undefined;
  readonly 'not-before'?: string | undefined;
  readonly 'min-rollback-version'?: string | undefined;
  readonly security: boolean;
  readonly 'detached-only': boolean;
  readonly stored: boolean;
}

/** `undefined` without `--sign`. Reads the key before anything is built. */
export async function planSigning(values: SignValues, nowMs: number, io: Io): Promise<Signing | undefined> {
  if (!values.sign) {
    for (const name of ONLY_WITH_SIGN) {
      if (values[name] !== undefined && values[name] !== false) throw new UsageError(`--${name} goes with \`--sign\``);
    }
    return undefined;
  }
  if (values.check)
    throw new UsageError('`--check` compares unsigned bundles; `sallyport verify --rebuild` signed ones');
  if (values.key === undefined) throw new UsageError('name what to sign with: `--key DIR`');
  if (values.scope === undefined) throw new UsageError('say where it is meant for: `--scope prod`');
  const nowEpochS = Math.floor(nowMs / 1000);
  const begins = values['not-before'];
  const notBeforeEpochS =
    begins === undefined ? nowEpochS : Math.floor(Date.parse(parseMoment(begins, '--not-before', nowMs)) / 1000);
  const days = whole(values['expires-days'], '--expires-days') ?? DEFAULT_EXPIRES_DAYS;
  const name = values.name;
  return {
    signer: await openSigner(resolve(io.cwd, values.key)),
    claims: {
      kind: 'bundle',
      scope: values.scope,
      version: whole(values.version, '--version') ?? nowEpochS,
      issuedAtEpochS: nowEpochS,
      notBeforeEpochS,
      expiresEpochS: notBeforeEpochS + days * 86_400,
      minRollbackVersion: whole(values['min-rollback-version'], '--min-rollback-version') ?? 0,
      security: values.security,
    },
    ...(name === undefined ? {} : { name }),
    inside: !values['detached-only'],
    stored: values.stored,
  };
}

/** Writes the bundle, its digest and its signature, each as a whole. */
export async function writeSigned(out: string, built: BuiltBundle, signing: Signing, io: Io): Promise<number> {
  const { signer, inside, stored } = signing;
  const claims = {
    ...signing.claims,
    name: signing.name ?? basename(out).replace(/\.tar\.gz$/, ''),
    revision: built.bundle.revision,
  };
  // The signer's own mistakes are told before anything is written.
  toBundleClaims(fromBundleClaims(claims));
  const files = readArchive(built.bytes);
  const members = inside ? signForOpa(files, claims, signer) : files;
  const bytes = stored ? packStored(members) : packArchive(members);
  const bundle = parseBundle(claims.name, bytes);
  const jws = signBundle(bytes, claims, signer);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await mkdir(dirname(out), { recursive: true });
  await replaceFile(`${out}.jws`, `${jws}\n`);
  await replaceFile(out, bytes);
  await replaceFile(`${out}.sha256`, digestLine(out, sha256));
  io.stdout(`${out}: ${bytes.length} bytes
  revision     ${bundle.revision}
  entrypoints  ${bundle.entrypoints.join(', ')}
  sha256       ${sha256}
  signed by    ${signer.kid} (${signer.alg}), as \`${claims.name}\` version ${claims.version} for \`${claims.scope}\`
  valid        ${toTime(claims.notBeforeEpochS * 1000)} to ${toTime(claims.expiresEpochS * 1000)}
  signature    ${out}.jws${inside ? ', and for OPA in .signatures.json' : ''}
`);
  return EXIT.ok;
}

const DEFAULT_EXPIRES_DAYS = 90;

const ONLY_WITH_SIGN = [
  'key',
  'scope',
  'name',
  'version',
  'expires-days',
  'not-before',
  'min-rollback-version',
  'security',
  'detached-only',
] as const;

function whole(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`\`${flag} ${text}\` is no whole number`);
  return Number(text);
}
