import { randomBytes } from 'node:crypto';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { createApiKey, type NewApiKey } from '../../../src/identity/api-key-create.ts';
import type { KeyDirectory } from '../../../src/identity/api-key-directory.ts';
import { type KeyEntry, type KeyRecord, parseKeyEntry } from '../../../src/identity/api-key-record.ts';
import { request } from './support.ts';

export interface IssuedKey extends NewApiKey {
  readonly entry: KeyEntry;
}

/** A key with its entry, which holds unless a change says otherwise. */
export function issueKey(changes: Partial<KeyEntry> = {}): IssuedKey {
  const key = createApiKey(randomBytes);
  const { id, sha256 } = key;
  return { ...key, entry: { id, sha256, tenant: 'tenant-a', roles: ['inference'], tier: 'premium', ...changes } };
}

export function toRecord(entry: KeyEntry): KeyRecord {
  const record = parseKeyEntry(entry);
  if ('id' in record) return record;
  throw new Error(JSON.stringify(record));
}

/** A directory that holds these keys and counts what it was asked. */
export function directoryOf(...keys: readonly IssuedKey[]): KeyDirectory & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    find: (id) => {
      asked.push(id);
      const key = keys.find((one) => one.id === id);
      return key && toRecord(key.entry);
    },
    start: () => Promise.resolve(),
    stop: () => {},
    fault: () => undefined,
  };
}

/** A request with these headers, each a name and a value. */
export function requestWith(...headers: readonly (readonly [string, string])[]): AccessRequest {
  return {
    ...request(),
    headers: {
      all: (name) => headers.filter(([one]) => one === name).map(([, value]) => value),
      names: () => new Set(headers.map(([name]) => name)),
    },
  };
}

export function keysFileText(entries: readonly object[]): string {
  return JSON.stringify({ keys: entries }, undefined, 1);
}
