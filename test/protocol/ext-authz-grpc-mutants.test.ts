import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WireFault } from '../../src/listener/wire-fault.ts';
import { toAttributes } from '../../src/protocols/ext-authz-grpc/attributes.ts';
import { readAttributes, toAccessRequest } from '../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { encodeCheckRequest } from '../support/ext-authz-proto.ts';
import { mutateWireOften } from '../support/mutate-wire.ts';
import { CLAIMING_REQUEST } from '../support/random-check-request.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';

const recorded = readFileSync(new URL('../golden/opa-envoy-input.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  // The file's own README gives its lines this form.
  .map((line) => Buffer.from((JSON.parse(line) as { check_request: string }).check_request, 'base64'));

/** As many of the one that claims everything as of all others together. */
const corpus = [...recorded, ...recorded.map(() => encodeCheckRequest(CLAIMING_REQUEST))];

describe('mutants of recorded CheckRequests', () => {
  it('are read or refused, and never crash the reader', () => {
    const random = createRandom(seedOf('ext-authz-grpc-mutants'));
    const count = caseCount(50_000);
    let refused = 0;
    for (let index = 0; index < count; index++) {
      const { bytes, how } = mutateWireOften(random.pick(corpus), random);
      const believed = random.chance(0.5);
      try {
        const request = toAccessRequest(bytes, { believed });
        if ('unreadable' in request) {
          expect(request.unreadable.code).toBe('malformed_request');
          expect(request.unreadable.cause).not.toBe('');
          refused += 1;
          continue;
        }
        for (const name of request.headers.names()) {
          expect(name).toBe(name.toLowerCase());
          expect(request.headers.all(name).length).toBeGreaterThan(0);
        }
        expect(typeof request.attributes()).toBe('object');
        if (!believed) expect(claims(request)).toEqual([]);
      } catch (error) {
        throw new Error(`${how} of ${Buffer.from(bytes).toString('hex')}`, { cause: error });
      }
    }
    console.info(`mutants: ${count}, refused ${refused}, read ${count - refused}`);
    expect(refused).toBeGreaterThan(count / 10);
    expect(refused).toBeLessThan(count);
  });

  it('cut short at every byte are read or refused', () => {
    for (const bytes of recorded) {
      for (let length = 0; length < bytes.length; length++) {
        try {
          toAttributes(readAttributes(bytes.subarray(0, length)));
        } catch (error) {
          expect(error).toBeInstanceOf(WireFault);
        }
      }
    }
  });
});

const CLAIMS = [
  'principal',
  'certificate',
  'contextExtensions',
  'metadataContext',
  'routeMetadataContext',
  'tlsSession',
];

/** What only a believed caller may say, found in a request. */
function claims(request: Exclude<ReturnType<typeof toAccessRequest>, { unreadable: unknown }>): string[] {
  const text = JSON.stringify(request.attributes(), (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  const found = CLAIMS.filter((name) => text.includes(`"${name}":`));
  if (request.sourcePrincipal !== undefined || request.sourceCertificate !== undefined) found.push('source');
  if (request.contextExtensions.size > 0) found.push('extensions');
  if (request.headers.all('x-forwarded-client-cert').length > 0) found.push('xfcc');
  return found;
}
