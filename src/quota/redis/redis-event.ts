import type { StoreFaultReason } from '../bucket-store.ts';

/** What a Redis store tells the log. None of it holds an address or a password. */
export type RedisStoreEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed'; readonly reason: StoreFaultReason; readonly cause: string }
  /** Each says what is set, and what to set it to. */
  | { readonly kind: 'unsafe_settings'; readonly faults: readonly string[] }
  /** What was counted is gone; from `warmAtMs` on, of the server's clock, takes are answered again. */
  | { readonly kind: 'state_lost'; readonly lostAtMs: number; readonly warmAtMs: number }
  /** A take whose caller was refused may have been charged all the same, and could not be given back. */
  | { readonly kind: 'charged_unanswered'; readonly count: number };
