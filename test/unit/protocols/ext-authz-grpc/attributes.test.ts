import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toAttributes } from '../../../../src/protocols/ext-authz-grpc/attributes.ts';
import { readAttributes } from '../../../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { checkRequestWith } from '../../../support/check-request-bytes.ts';
import { comparable, parseExact } from '../../../support/exact-json.ts';
import { encodeCheckRequest } from '../../../support/ext-authz-proto.ts';

interface GoldenLine {
  readonly name: string;
  readonly check_request: string;
  readonly input?: string;
}

const golden = readFileSync(new URL('../../../golden/opa-envoy-input.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  // The file's own README gives its lines this form.
  .map((line) => JSON.parse(line) as GoldenLine);

function attributesOf(bytes: Uint8Array): unknown {
  return comparable(toAttributes(readAttributes(bytes)));
}

describe('attributes are those of opa-envoy-plugin', () => {
  it('has the recorded lines at hand', () => {
    expect(golden).toHaveLength(48);
  });

  const recorded = golden.flatMap(({ name, check_request, input }) => {
    const parsed = input === undefined ? undefined : parseExact(input);
    const attributes = parsed instanceof Map ? parsed.get('attributes') : undefined;
    return attributes === undefined ? [] : [{ name, bytes: Buffer.from(check_request, 'base64'), attributes }];
  });

  it.each(recorded)('in the recorded case $name', ({ bytes, attributes }) => {
    expect(attributesOf(bytes)).toEqual(attributes);
  });

  it('in all recorded cases but the one without attributes and those that were denied', () => {
    expect(recorded.length).toBe(golden.filter(({ input }) => input !== undefined).length - 1);
  });
});

describe('what is left out and what is not', () => {
  it.each([
    { what: 'a zero port of the oneof is there', peer: { portValue: 0 }, json: { portValue: 0 } },
    { what: 'an empty named port of the oneof is there', peer: { namedPort: '' }, json: { namedPort: '' } },
    { what: 'a false flag is not there', peer: { ipv4Compat: false }, json: {} },
    { what: 'a true flag is there', peer: { ipv4Compat: true, protocol: 1 }, json: { ipv4Compat: true, protocol: 1 } },
  ])('$what', ({ peer, json }) => {
    const bytes = encodeCheckRequest({ attributes: { source: { address: { socketAddress: peer } } } });
    expect(toAttributes(readAttributes(bytes))).toEqual({ source: { address: { socketAddress: json } } });
  });

  it('keeps a header called `__proto__` as a header', () => {
    const bytes = checkRequestWith({ headers: [['__proto__', 'x']] });
    expect(JSON.stringify(toAttributes(readAttributes(bytes)))).toBe(
      '{"request":{"http":{"headers":{"__proto__":"x"}}}}',
    );
  });

  it.each([
    { sent: Number.NaN, json: 'NaN' },
    { sent: Number.POSITIVE_INFINITY, json: 'Infinity' },
    { sent: Number.NEGATIVE_INFINITY, json: '-Infinity' },
  ])('writes $json as a text', ({ sent, json }) => {
    const bytes = encodeCheckRequest({
      attributes: { metadataContext: { filterMetadata: { m: { fields: { n: { numberValue: sent } } } } } },
    });
    expect(toAttributes(readAttributes(bytes))).toEqual({ metadataContext: { filterMetadata: { m: { n: json } } } });
  });
});
