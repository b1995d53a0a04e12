import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArchive } from '../bundle/archive.ts';
import { type Bundle, parseBundle } from '../bundle/bundle.ts';
import { BundleError } from '../bundle/errors.ts';
import { requireOpa } from '../bundle/opa-tool.ts';
import { toBundleClaims, verifyBundleSignature } from '../bundle/signing/bundle-signature.ts';
import type { BundleClaims } from '../bundle/signing/claims.ts';
import { MAX_JWS_LENGTH, splitJws } from '../bundle/signing/jws.ts';
import { loadPublicKeys } from '../bundle/signing/key-folder.ts';
import { checkClaims } from '../bundle/signing/mark-check.ts';
import { verifyOpaSignature } from '../bundle/signing/opa-signature.ts';
import { rebuildDiffers } from '../bundle/signing/rebuild.ts';
import type { TrustKeys } from '../bundle/signing/trust-keys.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { toTime } from './keys-time.ts';

const HELP = `sallyport verify FILE --keys DIR|FILE [--scope S] [--name N] [--signature jws|opa] [--rebuild]

Says whether an agent would believe a bundle and read it, and what its author signed. Nothing is unpacked before the
signature FILE.jws was found to be over this very file, and nothing of its policy is run.

  sallyport verify bundles/authz.tar.gz --keys signing --scope prod --name authz
  sallyport verify bundles/authz.tar.gz --keys signing --signature opa
  sallyport verify bundles/authz.tar.gz --keys signing --rebuild

      --keys DIR|FILE     a folder of \`sallyport keys bundle create\`, a PEM public key or a JWK
      --scope S --name N  what it has to be for (default: whatever it says)
      --signature FORM    jws (default): FILE.jws beside it; opa: .signatures.json inside it, canonical form demanded
      --jws FILE          the signature, where it is not FILE.jws
      --rebuild           compile the Rego and the data inside it anew with opa: plan and Wasm have to be the same
      --capabilities FILE with --rebuild: what it was built with (default: the shipped file)

It does not know what was in force on an agent: versions are shown, not compared.

Exit codes: 0 believed, 2 usage, 4 refused.
`;

/** `sallyport verify`: whether a bundle is believed. */
export function createVerify({ nowMs }: { readonly nowMs: () => number }): Command {
  return async (argv, io) => {
    const { values, positionals } = parseArguments(argv, OPTIONS, true);
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new UsageError('name one bundle file');
    if (values.keys === undefined) throw new UsageError('name the keys to believe: `--keys DIR`');
    if (values.signature !== 'jws' && values.signature !== 'opa') throw new UsageError('--signature is jws or opa');
    const path = resolve(io.cwd, file);
    const nowEpochS = Math.floor(nowMs() / 1000);
    const keys = await loadPublicKeys(resolve(io.cwd, values.keys), nowEpochS);
    const bytes = await readBytes(path);
    const jwsFile = values.jws === undefined ? `${path}.jws` : resolve(io.cwd, values.jws);
    const claims =
      values.signature === 'opa'
        ? await verifyInside(bytes, values, keys)
        : await verifyBeside(bytes, jwsFile, values, keys);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    checkClaims(claims, sha256, undefined, nowEpochS);
    const bundle = parseBundle(claims.name, bytes);
    tell(path, claims, bundle, io);
    if (values.rebuild) await proveRebuild(bundle, bytes, resolve(io.cwd, values.capabilities ?? SHIPPED), io);
    return EXIT.ok;
  };
}

const OPTIONS = {
  keys: { type: 'string' },
  scope: { type: 'string' },
  name: { type: 'string' },
  signature: { type: 'string', default: 'jws' },
  jws: { type: 'string' },
  rebuild: { type: 'boolean', default: false },
  capabilities: { type: 'string' },
} as const;

const SHIPPED = fileURLToPath(new URL('../../bundles/capabilities.json', import.meta.url));

interface Meant {
  readonly scope?: string | undefined;
  readonly name?: string | undefined;
}

async function verifyBeside(bytes: Uint8Array, jwsFile: string, meant: Meant, keys: TrustKeys): Promise<BundleClaims> {
  const jws = Buffer.from(await readBytes(jwsFile))
    .toString('latin1')
    .replace(/\n$/, '');
  // What it says itself is only believed where the operator did not say what it has to be; the signature comes first.
  const { name, scope } = toBundleClaims(splitJws(jws, MAX_JWS_LENGTH).payload);
  return verifyBundleSignature(bytes, jws, { keys, name: meant.name ?? name, scope: meant.scope ?? scope });
}

async function verifyInside(bytes: Uint8Array, { name, scope }: Meant, keys: TrustKeys): Promise<BundleClaims> {
  if (name === undefined || scope === undefined) {
    throw new UsageError('with `--signature opa` say what it has to be: `--name` and `--scope`');
  }
  return verifyOpaSignature(bytes, { keys, name, scope });
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new BundleError('bundle_missing', `cannot read \`${path}\``, { cause: error });
  }
}

function tell(path: string, claims: BundleClaims, bundle: Bundle, io: Io): void {
  io.stdout(`${path}: is believed
  name         ${claims.name}
  scope        ${claims.scope}
  version      ${claims.version}${claims.security ? ' (security)' : ''}
  revision     ${bundle.revision}
  sha256       ${bundle.sha256}
  valid        ${toTime(claims.notBeforeEpochS * 1000)} to ${toTime(claims.expiresEpochS * 1000)}
  rollback     not below version ${claims.minRollbackVersion}
`);
}

async function proveRebuild(bundle: Bundle, bytes: Uint8Array, capabilities: string, io: Io): Promise<void> {
  const opa = await requireOpa({ env: io.env, report: (line) => io.stderr(`${line}\n`) });
  const differing = await rebuildDiffers({ opa, bundle, files: readArchive(bytes), capabilities });
  if (differing.length > 0) {
    throw new BundleError(
      'bundle_untrusted',
      `${differing.map((name) => `\`${name}\``).join(' and ')} do not come from the Rego and the data in it (as this opa compiles them)`,
    );
  }
  io.stdout('  rebuilt      plan.json and policy.wasm come from the Rego and the data in it\n');
}
