import { describe, expect, it } from 'vitest';
import { WireFault } from '../../../../src/listener/wire-fault.ts';
import { toRateLimitRequest } from '../../../../src/protocols/ratelimit/to-rate-limit-request.ts';
import {
  descriptorOf,
  encodeRateLimitRequest,
  type WrittenDescriptor,
  type WrittenRateLimitRequest,
} from '../../../support/rate-limit-proto.ts';

const read = (message: WrittenRateLimitRequest): ReturnType<typeof toRateLimitRequest> =>
  toRateLimitRequest(encodeRateLimitRequest({ domain: 'd', descriptors: [descriptorOf('k', 'v')], ...message }));
const readOne = (over: WrittenDescriptor, hitsAddend = 0): ReturnType<typeof read>['descriptors'][number] | undefined =>
  read({ descriptors: [{ ...descriptorOf('k', 'v'), ...over }], hitsAddend }).descriptors[0];

describe('a RateLimitRequest', () => {
  it('is read with all its entries, in order', () => {
    expect(read({ domain: 'edge', descriptors: [descriptorOf('a', '1', 'b', 'ü'), descriptorOf('c', '')] })).toEqual({
      domain: 'edge',
      privileged: false,
      descriptors: [
        {
          entries: [
            { key: 'a', value: '1' },
            { key: 'b', value: 'ü' },
          ],
          hits: 1,
          negative: false,
        },
        { entries: [{ key: 'c', value: '' }], hits: 1, negative: false },
      ],
    });
  });

  it.each([
    ['one where none is named', undefined, undefined, 1],
    ['one where the request names 0', 0, undefined, 1],
    ['those of the request', 7, undefined, 7],
    ['those of the descriptor', 7, { value: 3 }, 3],
    ['none, to look only', 7, { value: 0 }, 0],
    ['none where the descriptor names nothing in its own', 7, {}, 0],
    ['as many as numbers are exact', 1, { value: '9007199254740991' }, 9_007_199_254_740_991],
  ])('counts hits: %s', (_what, ofRequest, ofDescriptor, hits) => {
    const own = ofDescriptor === undefined ? {} : { hitsAddend: ofDescriptor };
    expect(readOne(own, ofRequest)).toMatchObject({ hits, negative: false });
  });

  it('may give hits back, and bring a limit, which few may', () => {
    expect(readOne({ isNegativeHits: true, hitsAddend: { value: 4 } })).toMatchObject({ hits: 4, negative: true });
    expect(readOne({ limit: { requestsPerUnit: 5, unit: 3 } })).toMatchObject({
      override: { requestsPerUnit: 5, unit: 'hour' },
    });
    expect(
      read({ descriptors: [descriptorOf('k', 'v'), { ...descriptorOf('k', 'v'), isNegativeHits: true }] }),
    ).toMatchObject({ privileged: true });
    expect(read({ descriptors: [{ ...descriptorOf('k', 'v'), limit: { unit: 1 } }] })).toMatchObject({
      privileged: true,
    });
  });

  const many = (count: number): string[] => Array.from({ length: count * 2 }, (_, at) => `k${at}`);

  it.each([
    ['no domain', { domain: '' }],
    ['a long domain', { domain: 'd'.repeat(257) }],
    ['no descriptor', { descriptors: [] }],
    ['65 descriptors', { descriptors: Array.from({ length: 65 }, () => descriptorOf('k', 'v')) }],
    ['a descriptor without entries', { descriptors: [descriptorOf('k', 'v'), {}] }],
    ['33 entries', { descriptors: [descriptorOf(...many(33))] }],
    ['an entry without key', { descriptors: [descriptorOf('', 'v')] }],
    ['a long key', { descriptors: [descriptorOf('k'.repeat(257), 'v')] }],
    ['a long value', { descriptors: [descriptorOf('k', 'v'.repeat(8193))] }],
    ['hits beyond 2^53', { descriptors: [{ ...descriptorOf('k', 'v'), hitsAddend: { value: '9007199254740992' } }] }],
    [
      'hits beyond 2^63',
      { descriptors: [{ ...descriptorOf('k', 'v'), hitsAddend: { value: '18446744073709551615' } }] },
    ],
    ['a limit without unit', { descriptors: [{ ...descriptorOf('k', 'v'), limit: { requestsPerUnit: 1 } }] }],
    ['a limit of an unknown unit', { descriptors: [{ ...descriptorOf('k', 'v'), limit: { unit: 9 } }] }],
  ] satisfies [string, WrittenRateLimitRequest][])('is refused with %s', (_what, message) => {
    expect(() => read(message)).toThrow(WireFault);
  });

  it('is read at its bounds', () => {
    const longest = descriptorOf(...many(31), 'k'.repeat(256), 'v'.repeat(8192));
    expect(
      read({ domain: 'd'.repeat(256), descriptors: Array.from({ length: 64 }, () => longest) }).descriptors,
    ).toHaveLength(64);
  });
});
