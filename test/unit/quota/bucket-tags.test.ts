import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import { createBucketTags } from '../../../src/quota/bucket-tags.ts';
import { createChargeShapes, createHoldsCap, toPlanned } from '../../../src/quota/bucket-terms.ts';
import { tenantTag } from '../../../src/quota/reservation-id.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';

const metrics = createQuotaMetrics(new Registry(), 10);
const tagsFor = createBucketTags();

function shapeOf(key: readonly string[], scope: 'tenant' | 'shared') {
  const rate = { unit: 'requests', kind: 'rate', limit: 10, per_seconds: 1, cost: 1 };
  return createChargeShapes(metrics)(parseChargeTerms({ name: 'rps', key, scope, ...rate }));
}

test.each<[readonly string[], readonly string[]]>([
  [['tenant'], ['acme']],
  [
    ['model', 'tenant'],
    ['gpt', 'acme'],
  ],
  [['principal'], ['p']],
  [['key_id'], ['k']],
])('a tenant’s limit by %j is where its reservations are', (dimensions, key) => {
  const { terms } = toPlanned(shapeOf(dimensions, 'tenant'), key, 1, tagsFor('acme'));
  expect(terms.tag).toBe(tenantTag('acme'));
});

test.each<[readonly string[], readonly string[], 'tenant' | 'shared']>([
  [['model'], ['gpt'], 'shared'],
  [['tenant'], ['acme'], 'shared'],
  [['model'], ['gpt'], 'tenant'],
  [['address'], ['10.0.0.1'], 'tenant'],
])('a limit by %j of %j and scope %s is in one place, whoever asks', (dimensions, key, scope) => {
  const shape = shapeOf(dimensions, scope);
  const tags = ['acme', 'other', ''].map((tenant) => toPlanned(shape, key, 1, tagsFor(tenant)).terms);
  expect(new Set(tags.map(({ tag }) => tag))).toEqual(new Set([tenantTag(tags[0]?.id ?? '')]));
});

test('a bucket whose terms are kept has the tag of its own tenant each time', () => {
  const shape = shapeOf(['tenant'], 'tenant');
  for (const tenant of ['acme', 'other', 'acme', 'other']) {
    expect(toPlanned(shape, [tenant], 1, tagsFor(tenant)).terms.tag).toBe(tenantTag(tenant));
  }
});

test('what caps the holds of a caller is beside its reservations; a single machine needs no tags', () => {
  const cap = createHoldsCap(5, metrics);
  expect(cap.planned('holder', 'callers', 1000, tagsFor('acme')).terms.tag).toBe(tenantTag('acme'));
  expect(cap.planned('holder', 'callers', 1000).terms).not.toHaveProperty('tag');
});
