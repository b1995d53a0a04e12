import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { packArchive, readArchive } from '../bundle/archive.ts';
import { BundleError } from '../bundle/errors.ts';
import { packStored } from '../bundle/signing/canonical-form.ts';
import { toSignedForm } from '../bundle/signing/opa-signature.ts';
import { digestLine, replaceFile } from './bundle-files.ts';
import { EXIT, type Io, UsageError } from './command.ts';

interface RepackValues {
  readonly out?: string | undefined;
  readonly stored: boolean;
}

/** `sallyport build --repack`: the same members in canonical form; OPA's signature in it stays good. */
export async function repack(file: string, { out, stored }: RepackValues, io: Io): Promise<number> {
  if (out === undefined) throw new UsageError('`--repack` needs `--out FILE`');
  const from = resolve(io.cwd, file);
  const bytes = await readFile(from).catch((error: unknown) => {
    throw new BundleError('bundle_missing', `cannot read \`${from}\``, { cause: error });
  });
  const files = toSignedForm(readArchive(new Uint8Array(bytes)));
  const packed = stored ? packStored(files) : packArchive(files);
  const sha256 = createHash('sha256').update(packed).digest('hex');
  const to = resolve(io.cwd, out);
  await replaceFile(to, packed);
  await replaceFile(`${to}.sha256`, digestLine(to, sha256));
  io.stdout(`${to}: ${packed.length} bytes\n  sha256       ${sha256}\n`);
  return EXIT.ok;
}
