import { describe } from 'vitest';
import { expirySuite } from './bucket-store-expiry.ts';
import { historySuite } from './bucket-store-histories.ts';
import { hostileSuite } from './bucket-store-hostile.ts';
import type { OpenBucketStore } from './bucket-store-kit.ts';
import { releaseSuite, settleSuite } from './bucket-store-reservations.ts';
import { takeSuite } from './bucket-store-take.ts';
import { timeSuite } from './bucket-store-time.ts';

/** What every store promises, on the real thing. `open` gives a started store; buckets are never shared by tests. */
export function describeBucketStore(name: string, open: () => Promise<OpenBucketStore>): void {
  describe(name, () => {
    describe('take', () => takeSuite(open));
    describe('size and time', () => timeSuite(open));
    describe('hostile texts and many of everything', () => hostileSuite(open));
    describe('release', () => releaseSuite(open));
    describe('settle', () => settleSuite(open));
    describe('holds that end', () => expirySuite(open));
    describe('random histories', () => historySuite(open));
  });
}
