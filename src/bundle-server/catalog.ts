import { createHash } from 'node:crypto';
import type { RolloutOrder } from '../bundle/signing/claims.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type ChannelTurn, parseTurn } from './channel-turn.ts';
import type { ObjectStore } from './object-store.ts';
import { formatRecordKey, parseRecordKey, type RecordKey } from './record-keys.ts';
import { MAX_JWS, peekDigest, type SignedClaims, type Verifier } from './verifier.ts';

/** A signature with what it says, verified by this server over the archive it is about. */
export interface Release {
  readonly claims: SignedClaims;
  readonly jws: string;
  readonly sizeBytes: number;
}

/** What is known of one bundle. */
export interface Shelf {
  /** By version. */
  readonly releases: ReadonlyMap<number, Release>;
  /** The newest release of each archive. */
  readonly byDigest: ReadonlyMap<string, Release>;
  /** By {@link deltaKey}. */
  readonly deltas: ReadonlyMap<string, Release>;
  /** By its digest, for whoever asks for the file of a delta itself. */
  readonly deltaDigests: ReadonlySet<string>;
  readonly channels: ReadonlyMap<string, ChannelTurn>;
  /** Every digest that a channel ever pointed at. */
  readonly promoted: ReadonlySet<string>;
  /** Every digest that an order ever named. */
  readonly ordered: ReadonlySet<string>;
  /** The newest. */
  readonly order: { readonly order: RolloutOrder; readonly jws: string } | undefined;
  /** The highest that a file is named by, torn ones counted: versions never go back. */
  readonly lastVersion: number;
  readonly lastOrder: number;
}

export interface CatalogPorts {
  readonly store: ObjectStore;
  readonly verifier: Verifier;
  readonly bundles: readonly string[];
  readonly maxArchiveBytes: number;
  readonly logger: Logger;
  /** Told of a bundle that somebody changed. */
  readonly onChange: (bundle: string) => void;
}

/** What the store holds, as far as it may be believed. It is rebuilt from the files themselves; there is no other state. */
export interface Catalog {
  shelf(bundle: string): Shelf | undefined;
  /** The number that the next turn of a channel has. */
  nextTurn(bundle: string, channel: string): number;
  /** Reads what is new in the store, whoever put it there; these keys also when they were read before. */
  refresh(again?: readonly string[]): Promise<void>;
}

export function deltaKey(version: number, baseSha256: string): string {
  return `${version}-${baseSha256}`;
}

interface OpenShelf {
  readonly releases: Map<number, Release>;
  readonly byDigest: Map<string, Release>;
  readonly deltas: Map<string, Release>;
  readonly deltaDigests: Set<string>;
  readonly channels: Map<string, ChannelTurn>;
  readonly promoted: Set<string>;
  readonly ordered: Set<string>;
  /** Of each channel, bad records counted. */
  readonly turns: Map<string, number>;
  order: Shelf['order'];
  lastVersion: number;
  lastOrder: number;
}

export function createCatalog(ports: CatalogPorts): Catalog {
  const { store, verifier, bundles, maxArchiveBytes, logger, onChange } = ports;
  const shelves = new Map<string, OpenShelf>(bundles.map((name) => [name, emptyShelf()]));
  /** Each file is judged once: it never changes. */
  const seen = new Set<string>();
  let refreshing: Promise<void> | undefined;

  function ignore(key: string, why: string): void {
    // The key of a foreign file is somebody's text.
    logger.limited(`ignored ${why}`, 'warn', { file: key.slice(0, 200), why }, 'a file in the store is ignored');
  }

  const get = async (key: string, maxBytes: number): Promise<Uint8Array | undefined> => {
    try {
      return await store.get(key, maxBytes);
    } catch (error) {
      throw new NotReadNow('the store does not give it', { cause: error });
    }
  };

  async function readText(key: string, maxBytes: number): Promise<string> {
    const bytes = await get(key, maxBytes);
    if (bytes === undefined) throw new Error('it is gone');
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim();
  }

  async function readSigned(key: RecordKey, text: string, kind: 'bundle' | 'delta'): Promise<Release> {
    const jws = await readText(text, MAX_JWS);
    const sha256 = peekDigest(jws);
    if (sha256 === undefined) throw new Error('it is no signature of an archive');
    const bytes = await get(formatRecordKey({ kind: 'archive', bundle: key.bundle, sha256 }), maxArchiveBytes);
    if (bytes === undefined) throw new Error(`the archive \`${sha256}\` is not there`);
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new Error('its archive is torn');
    return { claims: verifier.bundle(key.bundle, bytes, jws, kind), jws, sizeBytes: bytes.length };
  }

  async function take(key: RecordKey, text: string, shelf: OpenShelf): Promise<void> {
    switch (key.kind) {
      case 'archive':
        return;
      case 'release': {
        shelf.lastVersion = Math.max(shelf.lastVersion, key.version);
        const release = await readSigned(key, text, 'bundle');
        const { claims } = release;
        if (claims.version !== key.version) throw new Error(MISPLACED);
        shelf.releases.set(key.version, release);
        const known = shelf.byDigest.get(claims.sha256);
        if (known === undefined || known.claims.version < key.version) shelf.byDigest.set(claims.sha256, release);
        return;
      }
      case 'delta': {
        const delta = await readSigned(key, text, 'delta');
        const { claims } = delta;
        if (claims.version !== key.version || claims.baseSha256 !== key.baseSha256) throw new Error(MISPLACED);
        shelf.deltas.set(deltaKey(key.version, key.baseSha256), delta);
        shelf.deltaDigests.add(claims.sha256);
        return;
      }
      case 'order': {
        shelf.lastOrder = Math.max(shelf.lastOrder, key.version);
        const jws = await readText(text, MAX_JWS);
        const order = verifier.order(key.bundle, jws);
        if (order.version !== key.version) throw new Error(MISPLACED);
        shelf.ordered.add(order.candidate.sha256);
        if (shelf.order === undefined || shelf.order.order.version < order.version) shelf.order = { order, jws };
        return;
      }
      case 'channel': {
        shelf.turns.set(key.channel, Math.max(shelf.turns.get(key.channel) ?? 0, key.turn));
        const turn = parseTurn(await readText(text, MAX_JWS));
        if (!shelf.byDigest.has(turn.sha256)) throw new NotReadNow('it points at an archive that is not there');
        const known = shelf.channels.get(key.channel);
        shelf.promoted.add(turn.sha256);
        if (known === undefined || known.turn < key.turn) shelf.channels.set(key.channel, { ...turn, turn: key.turn });
      }
    }
  }

  async function readAll(): Promise<void> {
    const fresh = (await store.list()).map(({ key }) => key).filter((key) => !seen.has(key));
    const changed = new Set<string>();
    const records = fresh.flatMap((text) => {
      const key = parseRecordKey(text);
      if (key !== undefined) return [{ key, text }];
      seen.add(text);
      ignore(text, 'it is not of the form of ours');
      return [];
    });
    // What points at others comes after them.
    const rank = (kind: RecordKey['kind']): number => READING_ORDER.indexOf(kind);
    records.sort((a, b) => rank(a.key.kind) - rank(b.key.kind) || (a.text < b.text ? -1 : 1));
    for (const { key, text } of records) {
      seen.add(text);
      const shelf = shelves.get(key.bundle);
      if (shelf === undefined) {
        ignore(text, 'the config names no such bundle');
        continue;
      }
      try {
        await take(key, text, shelf);
        if (key.kind !== 'archive') changed.add(key.bundle);
      } catch (error) {
        if (error instanceof NotReadNow) seen.delete(text);
        ignore(text, error instanceof Error ? error.message : String(error));
      }
    }
    for (const bundle of changed) onChange(bundle);
  }

  return {
    shelf: (bundle) => shelves.get(bundle),
    nextTurn: (bundle, channel) => (shelves.get(bundle)?.turns.get(channel) ?? 0) + 1,
    refresh: async (again = []) => {
      // Whoever asks after a write must see it: a reading that began before does not do.
      const before = refreshing;
      const mine = (async () => {
        await before?.catch(() => undefined);
        for (const key of again) seen.delete(key);
        await readAll();
      })();
      refreshing = mine;
      try {
        await mine;
      } finally {
        if (refreshing === mine) refreshing = undefined;
      }
    },
  };
}

/** The file may be good: it is asked for again. */
class NotReadNow extends Error {
  override readonly name = 'NotReadNow';
}

const READING_ORDER: readonly RecordKey['kind'][] = ['archive', 'release', 'delta', 'order', 'channel'];
const MISPLACED = 'it is not what its name says';

function emptyShelf(): OpenShelf {
  return {
    releases: new Map(),
    byDigest: new Map(),
    deltas: new Map(),
    deltaDigests: new Set(),
    channels: new Map(),
    promoted: new Set(),
    ordered: new Set(),
    turns: new Map(),
    order: undefined,
    lastVersion: 0,
    lastOrder: 0,
  };
}
