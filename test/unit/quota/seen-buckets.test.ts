import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import { createChargeShapes, type PlannedCharge, toPlanned } from '../../../src/quota/bucket-terms.ts';
import { createSeenBuckets } from '../../../src/quota/seen-buckets.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';

const terms = parseChargeTerms({
  name: 'rps',
  key: ['tenant', 'claim:team'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 1,
  cost: 1,
  scope: 'tenant',
});
const shape = createChargeShapes(createQuotaMetrics(new Registry(), 10))(terms);
const chargeOf = (...key: readonly string[]): PlannedCharge => toPlanned(shape, key, 1);

test('of each bucket that was asked lately one charge is known, of the tenant that asked', () => {
  const seen = createSeenBuckets();
  seen.note('acme', [chargeOf('acme', 'a'), chargeOf('acme', 'b')]);
  seen.note('acme', [chargeOf('acme', 'a')]);
  expect(seen.of('acme').map(({ key }) => key[1])).toEqual(['a', 'b']);
  expect(seen.of('other')).toEqual([]);
});

test('very long keys, which callers may choose, are not kept', () => {
  const seen = createSeenBuckets();
  seen.note('acme', [chargeOf('acme', 'x'.repeat(1020)), chargeOf('acme', 'x'.repeat(1021)), chargeOf('acme', 'b')]);
  expect(seen.of('acme').map(({ key }) => key[1]?.length)).toEqual([1020, 1]);
});
