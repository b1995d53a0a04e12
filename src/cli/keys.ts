import { resolve } from 'node:path';
import { createApiKey } from '../identity/api-key-create.ts';
import { type KeyEntry, parseKeyEntry } from '../identity/api-key-record.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { keysBundle } from './keys-bundle.ts';
import { changeKeysFile, type KeysFile, readKeysFile } from './keys-file.ts';
import { keyState, toKeyJson, toKeyTable } from './keys-list.ts';
import { parseDuration, parseMoment, toTime } from './keys-time.ts';

const HELP = `sallyport keys create|list|rotate|revoke --file FILE

Makes and ends the API keys of a keys file, the one that a config names in \`identity.api_keys.file\`. The file holds the
SHA-256 of each secret and never the secret: a new key is printed once, alone on stdout. A running sallyport reads the
file again by itself, so that a key that is revoked is refused within a second.

  sallyport keys create --file api-keys.yaml --tenant tenant-a --tier premium --role inference --expires 90d
  sallyport keys list --file api-keys.yaml
  sallyport keys rotate --file api-keys.yaml ID --overlap 24h
  sallyport keys revoke --file api-keys.yaml ID

create   adds a key, and makes the file (mode 0600) when there is none
  --tenant T --tier T     whose it is, and of which tier: compulsory
  --role R                a role; may be repeated
  --model M               a model that it is good for; may be repeated; without one it is good for any
  --subject S --name N    who it stands for (policies see it), and what people call it
  --expires WHEN          90d, 2027-01-31 or 2027-01-31T12:00:00Z; without it never
  --not-before WHEN       the same
  --address A             an address or block (10.0.0.0/8) that it may be used from; may be repeated
list     every key with its state, without digests; --json for programs
rotate   makes a new key that is good for the same, and lets the old one expire
  --overlap SPAN          how long the old one stays good: 45s, 30m, 24h, 7d (default: 24h)
  --expires WHEN          when the new one expires (default: when the old one would have)
revoke   ends keys at once and for good; several IDs may be named

The keys that bundles are signed with are another matter: \`sallyport keys bundle --help\`.

A caller sends its key as \`x-api-key: sp_...\` or \`authorization: Bearer sp_...\`.

Exit codes: 0 done, 1 failed (no such key, another writer), 2 usage, 3 the file has faults.
`;

export interface KeysOptions {
  readonly nowMs: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

/** `sallyport keys`: the life of the keys in a keys file. */
export function createKeys(options: KeysOptions): Command {
  return async (argv, io) => {
    if (argv[0] === 'bundle') return keysBundle(argv.slice(1), io, options);
    const { values, positionals } = parseArguments(argv, OPTIONS, true);
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const [action, ...ids] = positionals;
    const run = ACTIONS.get(action ?? '');
    if (run === undefined) {
      throw new UsageError(action === undefined ? 'say what to do: create, list, rotate or revoke' : unknown(action));
    }
    for (const name of Object.keys(values)) {
      if (!COMMON.includes(name) && !run.flags.includes(name)) throw new UsageError(`--${name} is not for ${action}`);
    }
    if (values.file === undefined) throw new UsageError('name the keys file with --file');
    await run.run({ ...values, file: resolve(io.cwd, values.file) }, ids, io, options);
    return EXIT.ok;
  };
}

const OPTIONS = {
  file: { type: 'string' },
  tenant: { type: 'string' },
  tier: { type: 'string' },
  role: { type: 'string', multiple: true },
  model: { type: 'string', multiple: true },
  subject: { type: 'string' },
  name: { type: 'string' },
  expires: { type: 'string' },
  'not-before': { type: 'string' },
  address: { type: 'string', multiple: true },
  overlap: { type: 'string' },
  json: { type: 'boolean' },
} as const;

const COMMON: readonly string[] = ['file', 'help'];

interface Values {
  readonly file: string;
  readonly tenant?: string | undefined;
  readonly tier?: string | undefined;
  readonly role?: readonly string[] | undefined;
  readonly model?: readonly string[] | undefined;
  readonly subject?: string | undefined;
  readonly name?: string | undefined;
  readonly expires?: string | undefined;
  readonly 'not-before'?: string | undefined;
  readonly address?: readonly string[] | undefined;
  readonly overlap?: string | undefined;
  readonly json?: boolean | undefined;
}

interface Action {
  readonly flags: readonly string[];
  readonly run: (values: Values, ids: readonly string[], io: Io, options: KeysOptions) => Promise<void>;
}

const CREATE_FLAGS = ['tenant', 'tier', 'role', 'model', 'subject', 'name', 'expires', 'not-before', 'address'];

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ['create', { flags: CREATE_FLAGS, run: create }],
  ['list', { flags: ['json'], run: list }],
  ['rotate', { flags: ['overlap', 'expires'], run: rotate }],
  ['revoke', { flags: [], run: revoke }],
]);

async function create(values: Values, ids: readonly string[], io: Io, options: KeysOptions): Promise<void> {
  const { tenant, tier, role = [], model, subject, name, expires, address } = values;
  if (ids.length > 0) throw new UsageError('the id of a new key is not chosen: name no ID');
  if (tenant === undefined || tier === undefined) throw new UsageError('a key needs --tenant and --tier');
  const nowMs = options.nowMs();
  const notBefore = values['not-before'];
  const key = createApiKey(options.randomBytes);
  const entry = checked({
    id: key.id,
    ...(name === undefined ? {} : { name }),
    sha256: key.sha256,
    tenant,
    roles: role,
    tier,
    ...(subject === undefined ? {} : { subject }),
    ...(model === undefined ? {} : { models: model }),
    ...(notBefore === undefined ? {} : { not_before: parseMoment(notBefore, '--not-before', nowMs) }),
    ...(expires === undefined ? {} : { expires: parseMoment(expires, '--expires', nowMs) }),
    ...(address === undefined ? {} : { addresses: address }),
  });
  await changeKeysFile(values.file, { create: true }, (file) => file.add(entry));
  tellKey(key.text, entry, io);
}

async function list(values: Values, ids: readonly string[], io: Io, options: KeysOptions): Promise<void> {
  if (ids.length > 0) throw new UsageError('list shows every key: name no ID');
  const entries = (await readKeysFile(values.file)).entries();
  io.stdout((values.json === true ? toKeyJson : toKeyTable)(entries, options.nowMs()));
}

async function rotate(values: Values, ids: readonly string[], io: Io, options: KeysOptions): Promise<void> {
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0) throw new UsageError('name the one ID to rotate');
  const nowMs = options.nowMs();
  const overlapMs = parseDuration(values.overlap ?? '24h', '--overlap');
  const key = createApiKey(options.randomBytes);
  const [entry, endsAt] = await changeKeysFile(values.file, { create: false }, (file) => {
    const old = entryOf(file, id);
    const state = keyState(old, nowMs);
    if (state !== 'active') throw new Error(`key \`${id}\` is ${state}: make a new one with \`create\``);
    const { not_before: _begun, ...same } = old;
    const expires = values.expires === undefined ? {} : { expires: parseMoment(values.expires, '--expires', nowMs) };
    const made = checked({ ...same, ...expires, id: key.id, sha256: key.sha256 });
    const endsMs = Math.min(
      nowMs + overlapMs,
      old.expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(old.expires),
    );
    file.set(id, 'expires', toTime(endsMs));
    file.add(made);
    return [made, toTime(endsMs)] as const;
  });
  io.stderr(`key \`${id}\` is good until ${endsAt}\n`);
  tellKey(key.text, entry, io);
}

async function revoke(values: Values, ids: readonly string[], io: Io): Promise<void> {
  if (ids.length === 0) throw new UsageError('name the ID to revoke, or several');
  await changeKeysFile(values.file, { create: false }, (file) => {
    for (const id of ids) file.set(entryOf(file, id).id, 'revoked', true);
  });
  io.stdout(ids.map((id) => `key \`${id}\` is revoked\n`).join(''));
}

function entryOf(file: KeysFile, id: string): KeyEntry {
  const entry = file.entries().find((one) => one.id === id);
  if (entry === undefined) throw new Error(`there is no key \`${id}\`; \`sallyport keys list\` shows those there are`);
  return entry;
}

/** Refuses what no keys file may hold before anything is written. */
function checked(entry: KeyEntry): KeyEntry {
  const parsed = parseKeyEntry(entry);
  if ('id' in parsed) return entry;
  throw new UsageError(parsed.map(({ path, message }) => `${path.join('.')} ${message}`).join(', '));
}

/** The key alone on stdout, so that it can be piped to where it is kept. */
function tellKey(text: string, { id, expires }: KeyEntry, io: Io): void {
  io.stderr(`key \`${id}\` was made${expires === undefined ? '' : `, good until ${expires}`}; it is shown only now:\n`);
  io.stdout(`${text}\n`);
}

function unknown(action: string): string {
  return `\`${action}\` is none of create, list, rotate and revoke`;
}
