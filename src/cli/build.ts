import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpackTar } from '../bundle/archive.ts';
import { type BuildOptions, type BuiltBundle, buildBundle } from '../bundle/builder.ts';
import { loadDefinition } from '../bundle/definition.ts';
import { BundleError } from '../bundle/errors.ts';
import { requireOpa, ToolMissing } from '../bundle/opa-tool.ts';
import { parseArguments } from './arguments.ts';
import { repack } from './build-repack.ts';
import { planSigning, SIGN_HELP, SIGN_OPTIONS, writeSigned } from './build-sign.ts';
import { digestLine, replaceFile } from './bundle-files.ts';
import { packedCases } from './case-files.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';

const HELP = `sallyport build [DEFINITION] [--out FILE] [--check]
sallyport build --from FOLDER -e ENTRYPOINT [-e ...] --out FILE [--v0-compatible]

Compiles Rego and data into one bundle: sources, data, plan and Wasm. Sallyport and OPA both load it. Equal sources
give an equal bundle, and its revision follows from their content. The SHA-256 to pin is printed, and written beside
the bundle as FILE.sha256 (\`sha256sum --check\` reads it).

The first form builds what DEFINITION (default: bundles/authz.json) says, into the .tar.gz beside it:

  {"source": "policies", "entrypoints": ["authz/decision"], "capabilities": "bundles/capabilities.json",
   "ignore": ["*_test.rego"], "cases": ["policies"]}          (paths relative to the folder you are in)

Request cases (*.cases.yaml in the source folder, or where \`cases\` says) travel in the bundle as cases.json.

The second builds any folder, such as policies written for opa-envoy-plugin:

  sallyport build --from my-policies -e envoy/authz/allow --out bundles/legacy.tar.gz
  sallyport build --from old-policies -e envoy/authz/allow --v0-compatible --out bundles/legacy.tar.gz

and sallyport.yaml then names the decision and its shape:

  policy: {decisions: {default: {decision: envoy/authz/allow, result: opa-envoy}}}

  -e, --entrypoint PATH   a rule to compile, slashes between its steps (METADATA \`entrypoint: true\` adds to these)
      --from FOLDER       where the Rego and the data.json files are
      --out FILE          where the bundle goes
      --ignore PATTERN    file names to leave out (default with --from: *_test.rego)
      --capabilities FILE OPA's capabilities (default: the shipped file, which withholds http.send and its like)
      --v0-compatible     read the sources as Rego v0
      --revision TEXT     in place of the digest of the content
      --check             write nothing; exit 1 when the bundle that is there is not what its sources give
${SIGN_HELP}

Exit codes: 0 built (or equal), 1 OPA refuses the sources (or not equal), 2 usage, 4 a file or folder is missing.
`;

/** `sallyport build`: sources in, bundle out. */
export const build: Command = createBuild({ nowMs: () => Date.now() });

/** The same with a clock of the caller's, for what is signed. */
export function createBuild({ nowMs }: { readonly nowMs: () => number }): Command {
  return (argv, io) => run(argv, io, nowMs);
}

async function run(argv: readonly string[], io: Io, nowMs: () => number): Promise<number> {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  if (values.repack !== undefined) return repack(values.repack, values, io);
  const signing = await planSigning(values, nowMs(), io);
  const { source, out } = await planOf(values, positionals, io);
  try {
    const opa = await requireOpa({ env: io.env, report: (line) => io.stderr(`${line}\n`) });
    const built = await buildBundle({ opa, ...source });
    if (signing !== undefined) return await writeSigned(out, built, signing, io);
    return values.check ? await compare(out, built, io) : await write(out, built, io);
  } catch (error) {
    if (!(error instanceof ToolMissing) && !isBuildFault(error)) throw error;
    io.stderr(`sallyport build: ${error.message}\n`);
    return EXIT.failed;
  }
}

const OPTIONS = {
  from: { type: 'string' },
  entrypoint: { type: 'string', short: 'e', multiple: true },
  out: { type: 'string' },
  ignore: { type: 'string', multiple: true },
  capabilities: { type: 'string' },
  revision: { type: 'string' },
  'v0-compatible': { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  repack: { type: 'string' },
  ...SIGN_OPTIONS,
} as const;

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values'];

interface Plan {
  readonly source: Omit<BuildOptions, 'opa'>;
  readonly out: string;
}

const SHIPPED_CAPABILITIES = fileURLToPath(new URL('../../bundles/capabilities.json', import.meta.url));

async function planOf(values: Values, positionals: readonly string[], io: Io): Promise<Plan> {
  const revision = values.revision === undefined ? {} : { revision: values.revision };
  const v0Compatible = values['v0-compatible'];
  if (values.from !== undefined) {
    if (positionals.length > 0) throw new UsageError('name either a definition or `--from FOLDER`, not both');
    if (values.out === undefined) throw new UsageError('`--from` needs `--out FILE`');
    const source = {
      from: resolve(io.cwd, values.from),
      entrypoints: values.entrypoint ?? [],
      capabilities: resolve(io.cwd, values.capabilities ?? SHIPPED_CAPABILITIES),
      ignore: values.ignore ?? ['*_test.rego'],
      v0Compatible,
      cases: await packedCases({ source: values.from }, io.cwd),
      ...revision,
    };
    return { source, out: resolve(io.cwd, values.out) };
  }
  const [file = 'bundles/authz.json', ...more] = positionals;
  if (more.length > 0) throw new UsageError('only one definition is built at a time');
  if (values.entrypoint !== undefined)
    throw new UsageError('`-e` goes with `--from`; a definition names its entrypoints');
  if (!file.endsWith('.json'))
    throw new UsageError(`\`${file}\` is no definition (.json); for a folder use \`--from\``);
  const definition = await loadDefinition(resolve(io.cwd, file));
  const source = {
    from: resolve(io.cwd, definition.source),
    entrypoints: definition.entrypoints,
    capabilities: resolve(io.cwd, values.capabilities ?? definition.capabilities),
    ignore: values.ignore ?? definition.ignore,
    v0Compatible,
    cases: await packedCases(definition, io.cwd),
    ...revision,
  };
  return { source, out: resolve(io.cwd, values.out ?? file.replace(/\.json$/, '.tar.gz')) };
}

async function write(out: string, built: BuiltBundle, io: Io): Promise<number> {
  const { bundle } = built;
  await mkdir(dirname(out), { recursive: true });
  const bytes = (await presentIfEqual(out, built.bytes)) ?? built.bytes;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (bytes === built.bytes) await replaceFile(out, bytes);
  await replaceFile(`${out}.sha256`, digestLine(out, sha256));
  io.stdout(`${out}: ${bytes.length} bytes
  revision     ${bundle.revision}
  entrypoints  ${bundle.entrypoints.join(', ')}
  sha256       ${sha256}
`);
  return EXIT.ok;
}

/** The file that is there when it holds the same tar: its digest may be pinned, and zlib may pack otherwise here. */
async function presentIfEqual(out: string, bytes: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    const present = new Uint8Array(await readFile(out));
    return Buffer.compare(unpackTar(present), unpackTar(bytes)) === 0 ? present : undefined;
  } catch {
    // Not there or not readable: it is written anew.
    return undefined;
  }
}

async function compare(out: string, { bytes, bundle }: BuiltBundle, io: Io): Promise<number> {
  const present = await readFile(out).catch((error: unknown) => {
    throw new BundleError('bundle_missing', `cannot read \`${out}\`; \`sallyport build\` makes it`, { cause: error });
  });
  // zlib may pack differently elsewhere, so what is compared is the tar inside.
  const digest = await readFile(`${out}.sha256`, 'utf8').catch(() => '');
  if (digest !== digestLine(out, createHash('sha256').update(present).digest('hex'))) {
    io.stderr(`${out}.sha256: is not the digest of ${basename(out)}; run \`sallyport build\`\n`);
    return EXIT.failed;
  }
  if (Buffer.compare(unpackTar(present), unpackTar(bytes)) === 0) {
    io.stdout(`${out}: is what its sources give (revision ${bundle.revision})\n`);
    return EXIT.ok;
  }
  io.stderr(`${out}: is not what its sources give (revision ${bundle.revision}); run \`sallyport build\`\n`);
  return EXIT.failed;
}

function isBuildFault(error: unknown): error is BundleError {
  return (
    error instanceof BundleError && (error.code === 'bundle_build_failed' || error.code === 'bundle_lacks_entrypoint')
  );
}
