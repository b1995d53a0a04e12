import { expect, test } from 'vitest';
import { parseBundle } from '../../../src/bundle/bundle.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import { createPreparedSets, prepareSet } from '../../../src/prepared-set.ts';
import { readBundle } from '../../../src/read-bundle.ts';
import { repacked, SHIPPED } from './shipped.ts';

test('an archive that is read in a thread is the same bundle', async () => {
  expect(SHIPPED.byteLength).toBeGreaterThan(65_536);
  const { data, plan, wasm, ...read } = await readBundle('authz', SHIPPED);
  const { data: text, plan: itsPlan, wasm: itsModule, ...parsed } = parseBundle('authz', SHIPPED);
  expect(read).toEqual(parsed);
  for (const [one, other] of [
    [data, text],
    [plan, itsPlan],
    [wasm, itsModule],
  ] as const) {
    expect(Buffer.compare(one, other)).toBe(0);
  }
});

test.each([
  ['no archive', SHIPPED.subarray(1), 'bundle_invalid'],
  ['no plan', repacked({ 'plan.json': undefined }), 'bundle_not_compiled'],
  ['data that are no JSON', repacked({ 'data.json': '{' }), 'bundle_invalid'],
])('%s is refused there as here', async (_, bytes, code) => {
  const here = faultOf(() => parseBundle('authz', bytes));
  expect(here.code).toBe(code);
  await expect(readBundle('authz', bytes)).rejects.toMatchObject({ code, message: here.message });
});

test('what was made of a set is given once, and for no other set', () => {
  const sets = createPreparedSets();
  const [one, other] = [parseBundle('authz', SHIPPED), parseBundle('authz', SHIPPED)];
  const prepared = prepareSet([one], { engine: 'js' });
  sets.keep([one], prepared);
  expect(sets.take([other])).toBeUndefined();
  expect(sets.take([one, other])).toBeUndefined();
  expect(sets.take([])).toBeUndefined();
  expect(sets.take([one])).toBe(prepared);
  expect(sets.take([one])).toBeUndefined();
});

test('what was made of a set can be sent to another thread', () => {
  const prepared = prepareSet([parseBundle('authz', SHIPPED)], { engine: 'js' });
  expect(structuredClone(prepared)).toEqual(prepared);
  expect(prepareSet([parseBundle('authz', SHIPPED)], { engine: 'wasm' }).policies).toEqual([]);
});

function faultOf(parse: () => unknown): BundleError {
  try {
    parse();
  } catch (error) {
    if (error instanceof BundleError) return error;
    throw error;
  }
  throw new Error('it was read');
}
