import { describe, expect, test } from 'vitest';
import { CredentialFault } from '../../../src/identity/credential-fault.ts';
import { parseXfcc, type XfccElement } from '../../../src/identity/xfcc.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';

const HASH = 'ab'.repeat(32);
const NOTHING: XfccElement = { by: [], uris: [], dns: [] };

describe('x-forwarded-client-cert', () => {
  test.each<[string, readonly string[], readonly XfccElement[]]>([
    ['nothing', [], []],
    ['one pair', ['URI=spiffe://td/a'], [{ ...NOTHING, uris: ['spiffe://td/a'] }]],
    [
      'what Envoy writes',
      [`By=spiffe://td/b;Hash=${HASH};Cert="-----BEGIN%20";Chain="x";Subject="CN=a,O=b";URI=spiffe://td/a;DNS=a;DNS=b`],
      [
        {
          by: ['spiffe://td/b'],
          hash: HASH,
          cert: '-----BEGIN%20',
          chain: 'x',
          subject: 'CN=a,O=b',
          uris: ['spiffe://td/a'],
          dns: ['a', 'b'],
        },
      ],
    ],
    [
      'keys in any case, a hash in upper case',
      [`bY=x;HASH=${HASH.toUpperCase()};uri=y;dNs=z`],
      [{ by: ['x'], hash: HASH, uris: ['y'], dns: ['z'] }],
    ],
    ['empty values, which say nothing', ['By=;Hash=;Subject="";URI=;DNS=;Cert=""'], [NOTHING]],
    ['several of By, URI and DNS', ['By=a;By=b;URI=c;URI=d'], [{ by: ['a', 'b'], uris: ['c', 'd'], dns: [] }]],
    [
      'separators inside quotes',
      ['Subject="a,b;URI=c,By=d";URI=e'],
      [{ ...NOTHING, subject: 'a,b;URI=c,By=d', uris: ['e'] }],
    ],
    ['a quote inside quotes', ['Subject="CN=\\"a\\"";URI=b'], [{ ...NOTHING, subject: 'CN=\\"a\\"', uris: ['b'] }]],
    [
      'a backslash before the closing quote',
      ['Subject="CN=a\\\\";URI=b'],
      [{ ...NOTHING, subject: 'CN=a\\\\', uris: ['b'] }],
    ],
    ['a quote inside other quotes', ['URI="a\\"b"'], [{ ...NOTHING, uris: ['a"b'] }]],
    [
      'a subject that Envoy 1.40 wrote',
      ['Subject="CN=a\\"b\\\\\\,c\\;URI=x";URI=y'],
      [{ ...NOTHING, subject: 'CN=a\\"b\\\\\\,c\\;URI=x', uris: ['y'] }],
    ],
    ['RFC 2253 escapes', ['Subject="CN=a\\,b"'], [{ ...NOTHING, subject: 'CN=a\\,b' }]],
    ['an equals sign in a value', ['URI=spiffe://td/a=b'], [{ ...NOTHING, uris: ['spiffe://td/a=b'] }]],
    ['several elements', ['URI=a,URI=b, URI=c'], ['a', 'b', 'c'].map((uri) => ({ ...NOTHING, uris: [uri] }))],
    ['several headers', ['URI=a,URI=b', 'URI=c'], ['a', 'b', 'c'].map((uri) => ({ ...NOTHING, uris: [uri] }))],
    ['32 elements', [Array(32).fill('By=a').join(',')], Array(32).fill({ ...NOTHING, by: ['a'] })],
  ])('with %s is read', (_title, values, wanted) => {
    expect(parseXfcc(values)).toEqual(wanted);
  });

  test.each<[string, ...(readonly string[])]>([
    ['an empty header', ''],
    ['a space', ' '],
    ['a comma alone', ','],
    ['an empty element in front', ',URI=a'],
    ['an empty element behind', 'URI=a,'],
    ['an empty element between', 'URI=a,,URI=b'],
    ['an empty second header', 'URI=a', ''],
    ['a semicolon behind', 'URI=a;'],
    ['a semicolon in front', ';URI=a'],
    ['two semicolons', 'By=b;;URI=a'],
    ['a semicolon before a comma', 'URI=a;,URI=b'],
    ['no equals sign', 'URI'],
    ['no key', '=a'],
    ['an unknown key', 'URL=a'],
    ['a key that a prototype has', 'toString=a'],
    ['another such key', '__proto__=a'],
    ['a space in a key', 'UR I=a'],
    ['a space before the equals sign', 'URI =a'],
    ['a space after a semicolon', 'By=b; URI=a'],
    ['a tab after a comma', 'URI=a,\tURI=b'],
    ['a quote inside an unquoted value', 'URI=a"b'],
    ['a quote at the end of an unquoted value', 'URI=a"'],
    ['an open quote', 'Subject="a'],
    ['a quote that an escape keeps open', 'Subject="a\\"'],
    ['a backslash at the end', 'Subject="a\\'],
    ['something after a closing quote', 'Subject="a"b;URI=c'],
    ['a quoted value after a quoted value', 'Subject="a""b"'],
    ['a quote that swallows the next element', 'URI="a,By=b;Subject="CN=c";URI=d'],
    ['two hashes', `Hash=${HASH};Hash=${HASH}`],
    ['two subjects', 'Subject="a";Subject="b"'],
    ['two subjects, one empty', 'Subject="";Subject="b"'],
    ['two certificates', 'Cert="a";cert="b"'],
    ['two chains', 'Chain="a";Chain="b"'],
    ['a short hash', 'Hash=abcd'],
    ['a hash that is no hex', `Hash=${'xy'.repeat(32)}`],
    ['a hash with more behind', `Hash=${HASH}0`],
    ['a line break', 'URI=a\nURI=b'],
    ['NUL', 'URI=a\0'],
    ['DEL', 'URI=a\x7f'],
    ['bytes beyond ASCII', 'URI=spiffe://td/ä'],
    ['33 elements', Array(33).fill('By=a').join(',')],
    ['33 headers', ...Array<string>(33).fill('By=a')],
    ['too many pairs', Array(200).fill('DNS=a').join(';')],
    ['16 KiB and a byte', `URI=${'a'.repeat(16 * 1024 - 3)}`],
    ['16 KiB and a byte in two headers', 'URI=a', `URI=${'a'.repeat(16 * 1024 - 9)}`],
  ])('with %s is refused', (_title, ...values) => {
    expect(() => parseXfcc(values)).toThrow(CredentialFault);
  });

  test('of 16 KiB is read', () => {
    expect(parseXfcc([`URI=${'a'.repeat(16 * 1024 - 4)}`])).toHaveLength(1);
  });

  test('as it was written is read back, whatever stands in the quotes', () => {
    const random = createRandom(seedOf('XFCC written and read'));
    const count = caseCount(1_000);
    for (let done = 0; done < count; done += 1) {
      const elements = Array.from({ length: 1 + random.below(4) }, () => randomElement(random));
      const text = elements.map(writeElement).join(random.chance(0.5) ? ',' : ', ');
      expect(parseXfcc([text]), text).toEqual(elements);
    }
    console.info(`XFCC: ${count} headers read back`);
  });

  test('damaged anywhere is refused or still says nothing that was not written in it', () => {
    const random = createRandom(seedOf('XFCC damaged'));
    const count = caseCount(2_000);
    let refused = 0;
    for (let done = 0; done < count; done += 1) {
      const text = damaged(random, writeElement(randomElement(random)));
      let elements: readonly XfccElement[];
      try {
        elements = parseXfcc([text]);
      } catch (error) {
        expect(error).toBeInstanceOf(CredentialFault);
        refused += 1;
        continue;
      }
      for (const uri of elements.flatMap(({ uris }) => uris)) expect(text).toContain(uri.replaceAll('"', '\\"'));
    }
    console.info(`XFCC damaged: ${count} headers, ${refused} refused, 0 other errors`);
    expect(refused).toBeGreaterThan(count / 4);
  });

  test('is read in linear time', () => {
    const nasty = ['\\"', '"', ';', ',', 'URI="', '\\'].map((piece) =>
      `Subject="${piece.repeat(16_000)}`.slice(0, 16_384),
    );
    for (const text of nasty) expect(() => parseXfcc([text])).toThrow(CredentialFault);
  });
});

const PIECES = ['a', 'spiffe://td/x', ',', ';', '=', '\\,', '\\\\', '"', ' ', 'By=', 'URI=spiffe://td/admin'];

function randomElement(random: Random): XfccElement {
  const text = (): string => Array.from({ length: 1 + random.below(5) }, () => random.pick(PIECES)).join('');
  const list = (): string[] => Array.from({ length: random.below(3) }, text);
  return {
    by: [text()],
    ...(random.chance(0.5) ? { hash: HASH } : {}),
    ...(random.chance(0.5) ? { subject: text().replaceAll('"', '\\"') } : {}),
    uris: list(),
    dns: list(),
  };
}

function writeElement({ by, hash, subject, uris, dns }: XfccElement): string {
  const quoted = (key: string, value: string): string => `${key}="${value.replaceAll('"', '\\"')}"`;
  return [
    ...by.map((value) => quoted('By', value)),
    ...(hash === undefined ? [] : [`Hash=${hash}`]),
    ...(subject === undefined ? [] : [`Subject="${subject}"`]),
    ...uris.map((value) => quoted('URI', value)),
    ...dns.map((value) => quoted('DNS', value)),
  ].join(';');
}

function damaged(random: Random, text: string): string {
  const at = random.below(text.length);
  const junk = random.pick(['"', ',', ';', '=', '\\', '\0', 'é', '\n', '', '""', ',,', ';;']);
  return text.slice(0, at) + junk + text.slice(at + random.below(3));
}
