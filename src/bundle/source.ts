/** What a source gave: the bytes as they came, not yet believed. */
export interface Download {
  readonly bytes: Uint8Array;
  /** Names this version at the source; handed back, it spares an equal download. */
  readonly etag?: string;
  /** The detached JWS that came with it, in compact form with nothing between its dots. */
  readonly signature?: string;
}

/** How a source is asked, besides what for. */
export interface LoadWish {
  /** How long the source may hold its answer until there is something new; 0 and absent: not at all. */
  readonly waitSeconds?: number;
  /** The digest of what is in force, where a delta on it will do too. */
  readonly base?: string;
  /** Of what is in force: the same archive under another one is news. */
  readonly signature?: string;
  /** In its place, where a delta led to what is in force: another archive's signature is news only if it claims more. */
  readonly newerThan?: number;
}

/** Where one bundle comes from. */
export interface BundleSource {
  /** A `file` that cannot be had is an error at start; a `url` is asked again. */
  readonly kind: 'file' | 'url';
  /** The bundle, or `undefined` when the source says that it still is what `etag` names. Throws a `BundleError`. */
  load(etag: string | undefined, signal: AbortSignal, wish?: LoadWish): Promise<Download | undefined>;
}
