import type { RolloutOrder } from '../bundle/signing/claims.ts';
import { openSigner } from '../bundle/signing/key-folder.ts';
import { signRolloutOrder } from '../bundle/signing/rollout-order.ts';
import { isObject } from '../decision/json.ts';
import { askServer } from './bundles-client.ts';
import { UsageError } from './command.ts';
import { parseDuration } from './keys-time.ts';

/** The flags of `sallyport bundles order`. */
export interface OrderFlags {
  readonly candidate?: string | undefined;
  readonly scope?: string | undefined;
  readonly key?: string | undefined;
  readonly mode?: string | undefined;
  readonly percent?: string | undefined;
  readonly label?: readonly string[] | undefined;
  readonly expires?: string | undefined;
  readonly 'order-version'?: string | undefined;
  readonly 'abort-on-trips'?: string | undefined;
  readonly pause?: boolean | undefined;
  readonly abort?: boolean | undefined;
}

export interface OrderPlace {
  readonly url: string;
  readonly name: string;
  readonly token: string | undefined;
  /** Where `--key` lies. */
  readonly keyPath: string;
  readonly nowMs: number;
}

/**
 * Makes a rollout order and signs it. Which version and revision the candidate's digest has is asked of the server: a
 * wrong word of it makes an order that agents refuse, since the archive's own signature says otherwise.
 */
export async function makeOrder(flags: OrderFlags, place: OrderPlace): Promise<{ order: RolloutOrder; jws: string }> {
  const { scope, candidate: wanted } = flags;
  if (scope === undefined) throw new UsageError('name the scope that the agents trust with --scope');
  if (wanted === undefined || !/^[0-9a-f]{12,64}$/.test(wanted)) {
    throw new UsageError('name the archive with --candidate: its SHA-256, or the first twelve digits of it');
  }
  const issuedAtEpochS = Math.floor(place.nowMs / 1000);
  const mode = modeOf(flags.mode);
  const abortOnTrips = flags['abort-on-trips'];
  // Without a number it is the time: it grows by itself, and no server has a word in it.
  const version = wholeOf(
    flags['order-version'] ?? String(issuedAtEpochS),
    '--order-version',
    1,
    Number.MAX_SAFE_INTEGER,
  );
  const rest = {
    bundle: place.name,
    scope,
    version,
    issuedAtEpochS,
    expiresEpochS: issuedAtEpochS + Math.floor(parseDuration(flags.expires ?? '24h', '--expires') / 1000),
    mode,
    percent: percentOf(flags.percent, mode),
    labels: labelsOf(flags.label ?? []),
    paused: flags.pause === true,
    aborted: flags.abort === true,
    ...(abortOnTrips === undefined ? {} : { abortOnTrips: wholeOf(abortOnTrips, '--abort-on-trips', 1, 1_000_000) }),
  };
  const signer = await openSigner(place.keyPath);
  const order: RolloutOrder = { ...rest, candidate: await findCandidate(wanted, place) };
  return { order, jws: signRolloutOrder(order, signer) };
}

async function findCandidate(wanted: string, { url, token }: OrderPlace): Promise<RolloutOrder['candidate']> {
  const { revisions } = await askServer({ url: `${url}/revisions`, method: 'GET', token });
  const found = (Array.isArray(revisions) ? revisions : []).flatMap((each: unknown) => {
    if (!isObject(each)) return [];
    const { sha256, version, revision } = each;
    const isWhole = typeof sha256 === 'string' && typeof version === 'number' && typeof revision === 'string';
    return isWhole && sha256.startsWith(wanted) ? [{ sha256, version, revision }] : [];
  });
  const digests = new Set(found.map(({ sha256 }) => sha256));
  const [newest] = found.sort((a, b) => b.version - a.version);
  if (newest === undefined) throw new Error(`no published archive has a digest that begins with \`${wanted}\``);
  if (digests.size > 1) throw new Error(`${digests.size} archives have a digest that begins with \`${wanted}\``);
  return newest;
}

function modeOf(text = 'canary'): RolloutOrder['mode'] {
  if (text === 'canary' || text === 'shadow' || text === 'promote') return text;
  throw new UsageError(`\`--mode ${text}\` is none of shadow, canary and promote`);
}

function percentOf(text: string | undefined, mode: RolloutOrder['mode']): number {
  if (text !== undefined) return wholeOf(text, '--percent', 0, 100);
  if (mode === 'canary') throw new UsageError('a canary needs --percent N');
  return mode === 'promote' ? 100 : 0;
}

function wholeOf(text: string, flag: string, min: number, max: number): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new UsageError(`\`${flag} ${text}\` is no whole number of ${min} to ${max}`);
  return number;
}

function labelsOf(pairs: readonly string[]): { readonly [name: string]: string } {
  const labels = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new UsageError(`\`--label ${pair}\` is no NAME=VALUE`);
    const name = pair.slice(0, equals);
    if (labels.has(name)) throw new UsageError(`the label \`${name}\` is there twice`);
    labels.set(name, pair.slice(equals + 1));
  }
  return Object.fromEntries(labels);
}
