import type { Instant } from '../decision/ports.ts';
import type { KeyRecord } from './api-key-record.ts';

/** Where API keys are looked up by id, each as it stands now: a revocation is in force within a second. */
export interface KeyDirectory {
  /**
   * The record of a key id, `undefined` when there is none. Throws or rejects with a `CredentialFault` of code
   * `issuer_unavailable` when it cannot tell; never answers from what is older than its promise.
   */
  find(id: string, at: Instant): KeyRecord | undefined | Promise<KeyRecord | undefined>;
  /** Resolves when the first attempt to reach the keys is over, well or not. */
  start(): Promise<void>;
  stop(): void;
  /** Why no key can be looked up at this moment, `undefined` when it can. */
  fault(at: Instant): string | undefined;
}

/** What happened to a directory, for logs and metrics; told once for each change, not for each attempt. */
export type KeyDirectoryEvent =
  | { readonly kind: 'loaded'; readonly keys: number }
  | { readonly kind: 'failed'; readonly cause: string }
  | { readonly kind: 'connected' };
