import { describe, expect, test } from 'vitest';
import { createSpanIds, parseTraceparent } from '../../../src/telemetry/tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('parseTraceparent', () => {
  test.each([
    ['version 00, sampled', `00-${TRACE}-${SPAN}-01`, true],
    ['version 00, not sampled', `00-${TRACE}-${SPAN}-00`, false],
    ['unknown flags beside sampled', `00-${TRACE}-${SPAN}-ff`, true],
    ['a later version', `cc-${TRACE}-${SPAN}-01`, true],
    ['a later version with more members', `cc-${TRACE}-${SPAN}-01-what-the-future-holds`, true],
  ])('reads %s', (_, value, sampled) => {
    expect(parseTraceparent(value)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
  });

  test.each([
    ['nothing', undefined],
    ['an empty value', ''],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['an all-zero trace id', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['an all-zero span id', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['capital digits', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a letter that is no digit', `00-${TRACE.slice(1)}g-${SPAN}-01`],
    ['more members in version 00', `00-${TRACE}-${SPAN}-01-more`],
    ['text glued to a later version', `cc-${TRACE}-${SPAN}-01x`],
    ['white space around it', ` 00-${TRACE}-${SPAN}-01`],
    ['a newline at its end', `00-${TRACE}-${SPAN}-01\n`],
    ['two of them', `00-${TRACE}-${SPAN}-01,00-${TRACE}-${SPAN}-01`],
    ['a very long one', `cc-${TRACE}-${SPAN}-01-${'x'.repeat(1_000_000)}`],
  ])('ignores %s', (_, value) => {
    expect(parseTraceparent(value)).toBeUndefined();
  });
});

describe('createSpanIds', () => {
  test('gives 16 hex digits, each time others, out of the given bytes', () => {
    let counter = 0;
    const next = createSpanIds((size) => Uint8Array.from({ length: size }, () => counter++ % 251));
    const ids = Array.from({ length: 200 }, next);
    expect(ids.every((id) => /^[0-9a-f]{16}$/.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(200);
  });

  test('never gives the invalid id of all zeros', () => {
    expect(createSpanIds((size) => new Uint8Array(size))()).toBe('0000000000000001');
  });
});
