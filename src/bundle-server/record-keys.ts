/** What a stored file is, as its key says. */
export type RecordKey =
  /** The bytes of an archive or of a delta, by their own digest. */
  | { readonly kind: 'archive'; readonly bundle: string; readonly sha256: string }
  /** The signature by which an archive is published: one for each version. */
  | { readonly kind: 'release'; readonly bundle: string; readonly version: number }
  /** The signature of what leads from an archive to the one of that version. */
  | { readonly kind: 'delta'; readonly bundle: string; readonly version: number; readonly baseSha256: string }
  | { readonly kind: 'order'; readonly bundle: string; readonly version: number }
  /** Where a channel pointed from its `turn` on. */
  | { readonly kind: 'channel'; readonly bundle: string; readonly channel: string; readonly turn: number };

export function formatRecordKey(key: RecordKey): string {
  switch (key.kind) {
    case 'archive':
      return `${key.bundle}/archives/${key.sha256}.tar.gz`;
    case 'release':
      return `${key.bundle}/releases/${padded(key.version)}.jws`;
    case 'delta':
      return `${key.bundle}/deltas/${padded(key.version)}-${key.baseSha256}.jws`;
    case 'order':
      return `${key.bundle}/orders/${padded(key.version)}.jws`;
    case 'channel':
      return `${key.bundle}/channels/${key.channel}/${padded(key.turn)}.json`;
  }
}

/** `undefined`: the file is not ours. */
export function parseRecordKey(text: string): RecordKey | undefined {
  const match = SHAPE.exec(text);
  const [, bundle, archive, release, deltaVersion, baseSha256, order, channel, turn] = match ?? [];
  if (bundle === undefined) return undefined;
  if (archive !== undefined) return { kind: 'archive', bundle, sha256: archive };
  if (release !== undefined) return { kind: 'release', bundle, version: Number(release) };
  if (deltaVersion !== undefined && baseSha256 !== undefined) {
    return { kind: 'delta', bundle, version: Number(deltaVersion), baseSha256 };
  }
  if (order !== undefined) return { kind: 'order', bundle, version: Number(order) };
  if (channel !== undefined && turn !== undefined) return { kind: 'channel', bundle, channel, turn: Number(turn) };
  return undefined;
}

/** Of bundles and channels: also a step of a path and of a URL. */
export const NAME_PATTERN = '^[a-z0-9][a-z0-9_-]{0,62}$';

const NAME = '[a-z0-9][a-z0-9_-]{0,62}';
const SHA256 = '[0-9a-f]{64}';
/** As many digits as the greatest safe integer has, so that texts sort as their numbers do. */
const NUMBER = '[0-9]{16}';
const SHAPE = new RegExp(
  `^(${NAME})/(?:archives/(${SHA256})\\.tar\\.gz|releases/(${NUMBER})\\.jws|deltas/(${NUMBER})-(${SHA256})\\.jws|orders/(${NUMBER})\\.jws|channels/(${NAME})/(${NUMBER})\\.json)$`,
);

function padded(number: number): string {
  return String(number).padStart(16, '0');
}
