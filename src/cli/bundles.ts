import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BundleError } from '../bundle/errors.ts';
import { isObject } from '../decision/json.ts';
import { parseArguments } from './arguments.ts';
import { askServer, bundleUrlOf, printable, tokenOf } from './bundles-client.ts';
import { loadBundleServerConfig } from './bundles-config.ts';
import { writeDelta } from './bundles-delta.ts';
import { makeOrder } from './bundles-order.ts';
import { type BundlesServePorts, serveBundles } from './bundles-serve.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { toTable } from './text-table.ts';

const HELP = `sallyport bundles serve --config FILE
sallyport bundles publish FILE --to URL --token-env NAME [--signature FILE] [--delta]
sallyport bundles delta TARGET --base FILE --key DIR [--out FILE]
sallyport bundles promote SHA256 --to URL --token-env NAME [--channel C]
sallyport bundles order --to URL --token-env NAME --key DIR --scope S --candidate SHA256 --percent N
sallyport bundles list --from URL --token-env NAME [--json]

Serves signed bundles to a fleet, and changes what the fleet is given. URL is the bundle's address as agents have it:
https://bundles.internal:8383/v1/bundles/authz. --token-env names the environment variable that holds the token. A CA
of your own goes into the variable NODE_EXTRA_CA_CERTS.

  sallyport bundles serve --config bundle-server.yaml
  sallyport bundles publish authz.tar.gz --to https://bundles.internal:8383/v1/bundles/authz --token-env CI_TOKEN
  sallyport bundles promote 3f1c09a2b7d4... --to https://bundles.internal:8383/v1/bundles/authz --token-env OPS_TOKEN
  sallyport bundles order --to https://bundles.internal:8383/v1/bundles/authz --token-env OPS_TOKEN --key signing \\
    --scope prod --candidate 3f1c09a2b7d4 --mode canary --percent 10 --label ring=eu --expires 24h

serve    until SIGTERM; \`--check\` only names the faults of the config
publish  sends an archive and the signature beside it (FILE.jws); nobody gets it before it is promoted or ordered
  --delta          FILE is a delta, signed as one
delta    makes and signs what turns the data of --base into those of TARGET (its signature beside it says which version
         that is); where more than the data differs there is none. It is written to --out (default: TARGET.delta.tar.gz)
promote  points a channel (default: stable) at a published archive
order    signs a rollout order and sends it
  --key DIR        the folder of the signing key
  --mode M         canary (default), shadow or promote
  --percent N      of the verified tenants, for a canary
  --label K=V      agents with all of these labels only; may be repeated
  --expires SPAN   from then on nobody begins or goes on with it (default: 24h)
  --pause, --abort nobody goes further; everybody goes back
  --abort-on-trips N       when so many agents say that a guard rail tripped, all go back
  --order-version N        must grow with every order (default: the time in seconds)
  --dry-run        print the signed order and send nothing
list     published revisions with their channels

Exit codes: 0 done, 1 refused by the server or not reached, 2 usage, 3 bad config, 4 a file or key cannot be used.
`;

export interface BundlesPorts extends BundlesServePorts {
  readonly nowMs: () => number;
}

/** `sallyport bundles`: the bundle server, and its clients for authors and operators. */
export function createBundles(ports: BundlesPorts): Command {
  return async (argv, io) => {
    const { values, positionals } = parseArguments(argv, OPTIONS, true);
    const [name, ...operands] = positionals;
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const action = ACTIONS.get(name ?? '');
    if (action === undefined) {
      const actions = [...ACTIONS.keys()].join(', ');
      throw new UsageError(name === undefined ? `say what to do: ${actions}` : `\`${name}\` is none of ${actions}`);
    }
    for (const flag of Object.keys(values)) {
      if (flag !== 'help' && !action.flags.includes(flag)) throw new UsageError(`--${flag} is not for ${name}`);
    }
    const operand = operands[0];
    if (operands.length !== (action.operand === undefined ? 0 : 1)) {
      throw new UsageError(
        action.operand === undefined ? `${name} takes no operand` : `${name} takes one ${action.operand}`,
      );
    }
    return action.run(values, operand ?? '', io, ports);
  };
}

const OPTIONS = {
  config: { type: 'string' },
  check: { type: 'boolean' },
  to: { type: 'string' },
  from: { type: 'string' },
  'token-env': { type: 'string' },
  signature: { type: 'string' },
  base: { type: 'string' },
  out: { type: 'string' },
  delta: { type: 'boolean' },
  channel: { type: 'string' },
  key: { type: 'string' },
  scope: { type: 'string' },
  candidate: { type: 'string' },
  mode: { type: 'string' },
  percent: { type: 'string' },
  label: { type: 'string', multiple: true },
  expires: { type: 'string' },
  'order-version': { type: 'string' },
  'abort-on-trips': { type: 'string' },
  pause: { type: 'boolean' },
  abort: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values'];

interface Action {
  readonly flags: readonly string[];
  /** What its one operand is. */
  readonly operand?: string;
  readonly run: (values: Values, operand: string, io: Io, ports: BundlesPorts) => Promise<number>;
}

const ORDER_FLAGS = [
  ...['to', 'token-env', 'key', 'scope', 'candidate', 'mode', 'percent', 'label', 'expires', 'order-version'],
  ...['abort-on-trips', 'pause', 'abort', 'dry-run'],
];

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['serve', { flags: ['config', 'check'], run: serve }],
  ['publish', { flags: ['to', 'token-env', 'signature', 'delta'], operand: 'FILE', run: publish }],
  ['delta', { flags: ['base', 'key', 'out'], operand: 'TARGET', run: delta }],
  ['promote', { flags: ['to', 'token-env', 'channel'], operand: 'SHA256', run: promote }],
  ['order', { flags: ORDER_FLAGS, run: order }],
  ['list', { flags: ['from', 'token-env', 'json'], run: list }],
]);

async function serve(values: Values, _operand: string, io: Io, ports: BundlesPorts): Promise<number> {
  if (values.config === undefined) throw new UsageError('name the config with --config FILE');
  if (values.check === true) {
    loadBundleServerConfig(resolve(io.cwd, values.config), io.env);
    io.stdout(`${values.config}: no faults\n`);
    return EXIT.ok;
  }
  return serveBundles(values.config, io, ports);
}

async function publish(values: Values, operand: string, io: Io): Promise<number> {
  const { url, name } = bundleUrlOf(values.to, '--to');
  const file = resolve(io.cwd, operand);
  const bytes = await read(file);
  const jws = (await read(resolve(io.cwd, values.signature ?? `${file}.jws`))).toString('utf8').trim();
  const answer = await askServer({
    url: `${url}/${values.delta === true ? 'deltas' : 'archives'}`,
    method: 'PUT',
    token: tokenOf(values['token-env'], io),
    headers: { 'x-sallyport-signature': jws, 'content-type': 'application/gzip' },
    body: bytes,
  });
  io.stdout(`${name}: version ${text(answer['version'])}, revision ${text(answer['revision'])} is published
  sha256 ${text(answer['sha256'])}
`);
  return EXIT.ok;
}

async function delta(values: Values, operand: string, io: Io): Promise<number> {
  if (values.base === undefined) throw new UsageError('name the bundle that agents have with --base FILE');
  if (values.key === undefined) throw new UsageError('name what to sign with: --key DIR');
  const out = values.out ?? `${operand.replace(/\.tar\.gz$/, '')}.delta.tar.gz`;
  const written = await writeDelta({
    baseFile: resolve(io.cwd, values.base),
    targetFile: resolve(io.cwd, operand),
    keyPath: resolve(io.cwd, values.key),
    out: resolve(io.cwd, out),
  });
  io.stdout(`${out}: ${written.bytes} bytes, to version ${written.version}, revision ${written.revision}
  sha256       ${written.sha256}
  signature    ${out}.jws
  publish it   sallyport bundles publish ${out} --delta --to URL --token-env NAME (after the bundle that it leads to)
`);
  return EXIT.ok;
}

async function promote(values: Values, operand: string, io: Io): Promise<number> {
  const { url, name } = bundleUrlOf(values.to, '--to');
  const { channel = 'stable' } = values;
  if (!/^[0-9a-f]{64}$/.test(operand)) throw new UsageError(`\`${operand}\` is no SHA-256: 64 hex digits, lower case`);
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(channel)) throw new UsageError(`\`${channel}\` is no name of a channel`);
  const answer = await askServer({
    url: `${url}/channels/${channel}`,
    method: 'POST',
    token: tokenOf(values['token-env'], io),
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sha256: operand }),
  });
  io.stdout(`${name}: ${channel} is at version ${text(answer['version'])}, revision ${text(answer['revision'])}\n`);
  return EXIT.ok;
}

async function order(values: Values, _operand: string, io: Io, { nowMs }: BundlesPorts): Promise<number> {
  const place = bundleUrlOf(values.to, '--to');
  const token = tokenOf(values['token-env'], io);
  if (values.key === undefined) throw new UsageError('name the folder of the signing key with --key DIR');
  const keyPath = resolve(io.cwd, values.key);
  const { order: made, jws } = await makeOrder(values, { ...place, token, keyPath, nowMs: nowMs() });
  if (values['dry-run'] === true) {
    io.stdout(`${jws}\n`);
    return EXIT.ok;
  }
  await askServer({
    url: `${place.url}/orders`,
    method: 'POST',
    token,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ order: jws }),
  });
  const { candidate, mode, percent, paused, aborted, expiresEpochS } = made;
  const state = aborted ? ', aborted' : paused ? ', paused' : '';
  io.stdout(`${place.name}: order ${made.version}: ${mode} ${percent} %${state}, until ${timeOf(expiresEpochS)}
  version ${candidate.version}, revision ${printable(candidate.revision)}
  sha256 ${candidate.sha256}
`);
  return EXIT.ok;
}

async function list(values: Values, _operand: string, io: Io): Promise<number> {
  const { url } = bundleUrlOf(values.from, '--from');
  const answer = await askServer({ url: `${url}/revisions`, method: 'GET', token: tokenOf(values['token-env'], io) });
  if (values.json === true) {
    io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
    return EXIT.ok;
  }
  const revisions = Array.isArray(answer['revisions']) ? answer['revisions'].filter(isObject) : [];
  const rows = revisions.map((each) => [
    text(each['version']),
    text(each['revision']),
    text(each['sha256']).slice(0, 16),
    text(each['size']),
    text(each['expires_at']),
    Array.isArray(each['channels']) ? each['channels'].map(text).join(' ') : '',
  ]);
  io.stdout(toTable(['VERSION', 'REVISION', 'SHA256', 'BYTES', 'EXPIRES', 'CHANNELS'], rows));
  return EXIT.ok;
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new BundleError('bundle_missing', `cannot read \`${file}\``, { cause: error });
  }
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? printable(String(value)) : '-';
}

function timeOf(epochS: number): string {
  return `${new Date(epochS * 1000).toISOString().slice(0, 19)}Z`;
}
