/** One stored file. */
export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/**
 * Where files are kept that never change. Every record of the server is a file of its own, made once: so a change is
 * atomic wherever making a file is, and two servers over one store cannot both take the same place.
 */
export interface ObjectStore {
  /** Every file, in no order. What is half written is not among them. */
  list(): Promise<readonly StoredObject[]>;
  /** `undefined`: there is none. More than `maxBytes` is an Error. */
  get(key: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Whole or not at all, and durable once it is resolved. `exists` leaves what is there. */
  create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  /** Whole or not at all; for a file that was damaged and whose key says what it has to hold. */
  replace(key: string, bytes: Uint8Array): Promise<void>;
}

/** Throws for a key that could lead anywhere else than to a file of the store. */
export function checkKey(key: string): string {
  if (key.length > 400 || !KEY.test(key)) throw new Error('a key of the store is malformed');
  return key;
}

/** Steps of lower-case letters, digits, `.`, `_` and `-`, none of which begins with a dot. */
const KEY = /^[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/;
