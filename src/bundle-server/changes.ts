import { parseBundle } from '../bundle/bundle.ts';
import { BundleError } from '../bundle/errors.ts';
import type { Clock } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Answer, refusal } from './answer.ts';
import type { AuditEntry, AuditLog } from './audit-log.ts';
import { type Catalog, deltaKey, type Shelf } from './catalog.ts';
import { formatTurn } from './channel-turn.ts';
import { checkDelta } from './delta.ts';
import type { ObjectStore } from './object-store.ts';
import { formatRecordKey, type RecordKey } from './record-keys.ts';
import type { SignedClaims, Verifier } from './verifier.ts';

/** Who asks for a change. */
export interface Author {
  /** The name of the token. */
  readonly who: string;
  /** The address of the connection. */
  readonly from: string;
}

/**
 * Everything that changes what the fleet is given. One change at a time; each is checked, then written into the audit
 * log, then made. Nothing is stored that a configured key did not sign.
 */
export interface Changes {
  publish(bundle: string, bytes: Uint8Array, jws: string, author: Author): Promise<Answer>;
  publishDelta(bundle: string, bytes: Uint8Array, jws: string, author: Author): Promise<Answer>;
  promote(bundle: string, channel: string, sha256: string, author: Author): Promise<Answer>;
  order(bundle: string, jws: string, author: Author): Promise<Answer>;
}

export interface ChangesPorts {
  readonly store: ObjectStore;
  readonly catalog: Catalog;
  readonly verifier: Verifier;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createChanges({ store, catalog, verifier, audit, clock, logger }: ChangesPorts): Changes {
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other; a fault of the store or the audit log is an answer. */
  function change(bundle: string, author: Author, make: (shelf: Shelf) => Promise<Answer>): Promise<Answer> {
    const mine = last.then(async () => {
      const shelf = catalog.shelf(bundle);
      if (shelf === undefined) return refusal(404, 'not_found', 'there is no such bundle');
      try {
        const answer = await make(shelf);
        if ('reason' in answer) logger.warn({ bundle, who: author.who, ...answer }, 'a change was refused');
        return answer;
      } catch (error) {
        if (error instanceof BundleError) {
          logger.warn({ bundle, who: author.who, reason: error.code, why: error.message }, 'a change was refused');
          return refusal(422, error.code, error.message);
        }
        logger.error({ bundle, who: author.who, why: messageOf(error) }, 'a change could not be made');
        return refusal(503, 'storage_failed', 'the change could not be written, and was not made');
      }
    });
    last = mine.catch(() => undefined);
    return mine;
  }

  /** First what is to happen, durably; then the files; a file that cannot be made is told of as well. */
  async function commit(entry: AuditEntry, files: readonly File[]): Promise<'made' | 'taken'> {
    await audit.append(entry);
    try {
      for (const file of files) if ((await place(store, file)) === 'taken') throw new Taken();
    } catch (error) {
      const { at, who, from, bundle } = entry;
      const why = error instanceof Taken ? 'another server took its place' : 'the store failed';
      await audit.append({ at, who, from, what: 'failed', bundle, change: entry.what, why });
      if (error instanceof Taken) return 'taken';
      throw error;
    }
    await catalog.refresh(files.map(({ key }) => formatRecordKey(key)));
    return 'made';
  }

  const entryOf = (what: AuditEntry['what'], bundle: string, { who, from }: Author, more: object): AuditEntry => ({
    at: timeOf(clock),
    who,
    from,
    what,
    bundle,
    ...more,
  });

  function expiryFault(expiresEpochS: number, what: string): Answer | undefined {
    if (expiresEpochS * 1000 > clock.now().epochMs) return undefined;
    return refusal(409, 'expired', `the ${what} is expired; sign it anew`);
  }

  return {
    publish: (bundle, bytes, jws, author) =>
      change(bundle, author, async (shelf) => {
        const claims = verifier.bundle(bundle, bytes, jws, 'bundle');
        const body = summary(claims);
        const known = shelf.releases.get(claims.version);
        if (known?.jws === jws) return { status: 200, body };
        const key = { kind: 'release', bundle, version: claims.version } as const;
        // The same publication as before, of which a file was damaged since: it is made good.
        const isMending = known === undefined && (await holds(store, { key, bytes: Buffer.from(jws) }));
        const fault =
          expiryFault(claims.expiresEpochS, 'signature') ??
          (isMending ? undefined : versionFault('bundle', claims.version, shelf.lastVersion));
        if (fault !== undefined) return fault;
        const { revision } = parseBundle(bundle, bytes);
        if (claims.revision !== '' && claims.revision !== revision) {
          return refusal(409, 'wrong_revision', 'its manifest names another revision than its signature');
        }
        const done = await commit(entryOf('publish', bundle, author, body), [
          { key: { kind: 'archive', bundle, sha256: claims.sha256 }, bytes },
          { key, bytes: Buffer.from(jws) },
        ]);
        return done === 'made' ? { status: 201, body } : TAKEN;
      }),

    publishDelta: (bundle, bytes, jws, author) =>
      change(bundle, author, async (shelf) => {
        const claims = verifier.bundle(bundle, bytes, jws, 'delta');
        const { version, revision, baseSha256 = '' } = claims;
        const body = { ...summary(claims), base_sha256: baseSha256 };
        if (shelf.deltas.get(deltaKey(version, baseSha256))?.jws === jws) return { status: 200, body };
        const fault = expiryFault(claims.expiresEpochS, 'signature');
        if (fault !== undefined) return fault;
        const target = shelf.releases.get(version);
        if (target === undefined || target.claims.revision !== revision) {
          return refusal(409, 'no_target', 'publish the whole archive of that version and revision first');
        }
        if (!shelf.byDigest.has(baseSha256)) return refusal(409, 'no_base', 'the archive it starts from is not here');
        checkDelta(bundle, bytes, revision);
        const done = await commit(entryOf('publish_delta', bundle, author, body), [
          { key: { kind: 'archive', bundle, sha256: claims.sha256 }, bytes },
          { key: { kind: 'delta', bundle, version, baseSha256 }, bytes: Buffer.from(jws) },
        ]);
        return done === 'made' ? { status: 201, body } : TAKEN;
      }),

    promote: (bundle, channel, sha256, author) =>
      change(bundle, author, async (shelf) => {
        const release = shelf.byDigest.get(sha256);
        if (release === undefined) return refusal(404, 'not_found', 'no published archive has that digest');
        const { version, revision } = release.claims;
        const body = { channel, sha256, version, revision };
        const present = shelf.channels.get(channel);
        if (present?.sha256 === sha256 && present.version === version) return { status: 200, body };
        const fault = expiryFault(release.claims.expiresEpochS, 'archive');
        if (fault !== undefined) return fault;
        if (present !== undefined && version < present.version) {
          const advice = 'agents refuse to go back; sign the older content as a new version';
          return refusal(409, 'older', `the channel is at version ${present.version}: ${advice}`);
        }
        const turn = formatTurn({ sha256, version, at: timeOf(clock), by: author.who });
        const key = { kind: 'channel', bundle, channel, turn: catalog.nextTurn(bundle, channel) } as const;
        const done = await commit(entryOf('promote', bundle, author, body), [{ key, bytes: Buffer.from(turn) }]);
        return done === 'made' ? { status: 200, body } : TAKEN;
      }),

    order: (bundle, jws, author) =>
      change(bundle, author, async (shelf) => {
        const order = verifier.order(bundle, jws);
        const { version, candidate, mode, percent, paused, aborted } = order;
        const body = { version, sha256: candidate.sha256, mode, percent, paused, aborted };
        if (shelf.order?.jws === jws) return { status: 200, body };
        const fault = expiryFault(order.expiresEpochS, 'order') ?? versionFault('order', version, shelf.lastOrder);
        if (fault !== undefined) return fault;
        const release = shelf.releases.get(candidate.version);
        const { sha256, revision } = release?.claims ?? {};
        if (sha256 !== candidate.sha256 || (revision !== '' && revision !== candidate.revision)) {
          return refusal(409, 'no_candidate', 'its candidate is not published with that digest, version and revision');
        }
        const entry = entryOf('order', bundle, author, body);
        const done = await commit(entry, [{ key: { kind: 'order', bundle, version }, bytes: Buffer.from(jws) }]);
        return done === 'made' ? { status: 201, body } : TAKEN;
      }),
  };
}

interface File {
  readonly key: RecordKey;
  readonly bytes: Uint8Array;
}

class Taken extends Error {
  override readonly name = 'Taken';
}

const TAKEN = refusal(409, 'conflict', 'another change came first; look at what is there, and try again');

/** What is there already with the same content is ours: the answer to an earlier attempt was lost. */
async function place(store: ObjectStore, { key, bytes }: File): Promise<'made' | 'taken'> {
  const text = formatRecordKey(key);
  if ((await store.create(text, bytes)) === 'created') return 'made';
  if (await holds(store, { key, bytes })) return 'made';
  // The key of an archive is its digest, and these bytes have it: what is there was damaged.
  if (key.kind !== 'archive') return 'taken';
  await store.replace(text, bytes);
  return 'made';
}

async function holds(store: ObjectStore, { key, bytes }: File): Promise<boolean> {
  const limit = Math.max(bytes.length, MIN_READ_BYTES);
  const present = await store.get(formatRecordKey(key), limit).catch(() => undefined);
  return present !== undefined && Buffer.compare(present, bytes) === 0;
}

const MIN_READ_BYTES = 65_536;

function versionFault(what: string, version: number, lastVersion: number): Answer | undefined {
  if (version > lastVersion) return undefined;
  return refusal(409, 'older', `version ${version} of the ${what} is not above ${lastVersion}, which is here already`);
}

function summary({ sha256, version, revision }: SignedClaims): { sha256: string; version: number; revision: string } {
  return { sha256, version, revision };
}

function timeOf(clock: Clock): string {
  return new Date(clock.now().epochMs).toISOString();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
