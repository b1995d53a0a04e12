import { resolve } from 'node:path';
import { createHighWaterMark } from '../bundle/signing/high-water-mark.ts';
import { createKeyFolder, rotateKeyFolder, type WrittenKey } from '../bundle/signing/key-folder.ts';
import type { SigningAlgorithm } from '../bundle/signing/trust-keys.ts';
import { parseArguments } from './arguments.ts';
import { EXIT, type Io, UsageError } from './command.ts';
import { parseMoment } from './keys-time.ts';

const HELP = `sallyport keys bundle create|rotate --out DIR
sallyport keys bundle mark --data-dir DIR --name NAME --scope SCOPE [--lower-to VERSION]
                          [--forget-orders] [--reset-time]

Makes the keys that bundles are signed with, and sees to what an agent remembers of them.

  sallyport keys bundle create --out signing
  sallyport build --sign --key signing --scope prod --out bundles/authz.tar.gz
  sallyport verify bundles/authz.tar.gz --keys signing
  sallyport keys bundle rotate --out signing --overlap 30d

create   makes a key pair: KID.private.pem (mode 0600), KID.public.pem, and the key set keys.json
rotate   adds a pair that signs from now on; bundles of the old keys stay good
  --out DIR        the folder of the keys: compulsory
  --alg ALG        ES256 (default) or EdDSA
  --kid KID        what the key is called (default: made from the key)
  --overlap SPAN   with rotate: after that time \`verify --keys DIR\` no longer believes the old keys: 12h, 30d
mark     shows what was newest of a bundle here, or lowers it, so that an older version may come back
  --data-dir DIR       the \`agent.data_dir\` of the config
  --name N --scope S   of the bundle
  --lower-to VERSION   0 forgets the bundle; its rollout orders are held to what was followed all the same
  --forget-orders      forgets the newest rollout order that was followed: older ones that are not expired count again
  --reset-time         forgets the latest time seen, as after a clock that ran ahead

An agent believes what \`trust\` of its config names: copy KID.public.pem to it.

  trust: {keys: {KID: KID.public.pem}, scope: prod, signature: jws}

Exit codes: 0 done, 2 usage, 4 a key or mark file cannot be used.
`;

export interface KeysBundleOptions {
  readonly nowMs: () => number;
}

/** `sallyport keys bundle`: the keys of bundles and the marks of versions. */
export async function keysBundle(argv: readonly string[], io: Io, { nowMs }: KeysBundleOptions): Promise<number> {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  const [action, ...more] = positionals;
  if (values.help === true || (action === undefined && argv.length === 0)) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  if (more.length > 0) throw new UsageError(`\`${more[0]}\` is one argument too many`);
  const allowed = FLAGS.get(action ?? '');
  if (allowed === undefined) throw new UsageError('say what to do with bundle keys: create, rotate or mark');
  for (const name of Object.keys(values)) {
    if (name !== 'help' && !allowed.includes(name)) throw new UsageError(`--${name} is not for bundle ${action}`);
  }
  if (action === 'mark') return mark(values, io, nowMs);
  if (values.out === undefined) throw new UsageError('name the folder of the keys with --out');
  const folder = resolve(io.cwd, values.out);
  const key = { alg: algorithmOf(values.alg), ...(values.kid === undefined ? {} : { kid: values.kid }) };
  if (action === 'create') {
    tell(await createKeyFolder(folder, key), io);
    return EXIT.ok;
  }
  const overlap = values.overlap === undefined ? undefined : parseMoment(values.overlap, '--overlap', nowMs());
  const ends = overlap === undefined ? {} : { overlapEndsEpochS: Math.floor(Date.parse(overlap) / 1000) };
  tell(await rotateKeyFolder(folder, { ...key, ...ends }), io);
  io.stdout(
    `  old keys     ${overlap === undefined ? 'stay good' : `are good until ${overlap}`}; remove their private files\n`,
  );
  return EXIT.ok;
}

const OPTIONS = {
  out: { type: 'string' },
  alg: { type: 'string' },
  kid: { type: 'string' },
  overlap: { type: 'string' },
  'data-dir': { type: 'string' },
  name: { type: 'string' },
  scope: { type: 'string' },
  'lower-to': { type: 'string' },
  'forget-orders': { type: 'boolean' },
  'reset-time': { type: 'boolean' },
} as const;

const FLAGS: ReadonlyMap<string, readonly string[]> = new Map([
  ['create', ['out', 'alg', 'kid']],
  ['rotate', ['out', 'alg', 'kid', 'overlap']],
  ['mark', ['data-dir', 'name', 'scope', 'lower-to', 'forget-orders', 'reset-time']],
]);

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values'];

function algorithmOf(text = 'ES256'): SigningAlgorithm {
  if (text === 'ES256' || text === 'EdDSA') return text;
  throw new UsageError('--alg is ES256 or EdDSA');
}

function tell({ kid, alg, privateFile, publicFile }: WrittenKey, io: Io): void {
  io.stdout(`key \`${kid}\` (${alg}) was made
  private key  ${privateFile} (mode 0600: keep it where bundles are built, and nowhere else)
  public key   ${publicFile}
`);
}

async function mark(values: Values, io: Io, nowMs: () => number): Promise<number> {
  const { name, scope } = values;
  const folder = values['data-dir'];
  if (folder === undefined || name === undefined || scope === undefined) {
    throw new UsageError('mark needs --data-dir, --name and --scope');
  }
  const marks = createHighWaterMark({
    folder: resolve(io.cwd, folder),
    clock: { now: () => ({ epochMs: nowMs(), monotonicMs: nowMs() }) },
  });
  const text = values['lower-to'];
  const forgetOrders = values['forget-orders'] === true;
  const resetTime = values['reset-time'] === true;
  if (text === undefined && !forgetOrders && !resetTime) {
    const found = (await marks.read()).bundles.get(`${scope} ${name}`);
    io.stdout(found === undefined ? `no version of \`${name}\` was in force here\n` : `${JSON.stringify(found)}\n`);
    return EXIT.ok;
  }
  if (text !== undefined && !/^\d{1,15}$/.test(text)) throw new UsageError('--lower-to is a whole number');
  const version = text === undefined ? {} : { version: Number(text) };
  const { bundle, order } = await marks.lower({ name, scope, ...version, forgetOrders, resetTime });
  const done = [
    ...(text === undefined ? [] : [`the mark was lowered from ${bundle?.version ?? 'none'} to ${text}`]),
    ...(forgetOrders ? [`the order ${order?.version ?? 'none'} was forgotten`] : []),
    ...(resetTime ? ['the latest time seen was forgotten'] : []),
  ];
  io.stderr(`${new Date(nowMs()).toISOString()} bundle \`${name}\` (scope \`${scope}\`): ${done.join(', ')}\n`);
  return EXIT.ok;
}
