import { describe, expect, it } from 'vitest';
import { packArchive } from '../../../src/bundle/archive.ts';
import { bundleData, parseBundle, requireEntrypoints } from '../../../src/bundle/bundle.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import { verifyTrust } from '../../../src/bundle/trust.ts';
import { createRandom, seedOf } from '../../support/seed.ts';
import { codeOf, ENDLESS_MODULE, filesOf, pinOf, repacked, revised, SHIPPED, SHIPPED_ROOTS } from './shipped.ts';

const parse = (bytes: Uint8Array) => parseBundle('authz', bytes);

describe('a compiled bundle', () => {
  it('is read with its revision, roots, data, entrypoints, sources and digest', () => {
    const bundle = parse(SHIPPED);
    expect(bundle.revision).toMatch(/^[0-9a-f]{24}$/);
    expect(bundle.roots).toEqual(SHIPPED_ROOTS);
    expect(bundle.entrypoints).toEqual(['authz/decision', 'authz/limits']);
    expect(Object.keys(bundleData(bundle))).toEqual(['catalog']);
    expect(JSON.parse(Buffer.from(bundle.data).toString())).toEqual(bundleData(bundle));
    expect([...bundle.rego.keys()]).toContain('authz/authz.rego');
    expect([...bundle.rego.keys()].filter((name) => name.endsWith('_test.rego'))).toEqual([]);
    expect(bundle.sha256).toBe(pinOf(SHIPPED).sha256);
  });

  it('carries no `wasm` key, so that an OPA without Wasm loads it', () => {
    const manifest = filesOf(SHIPPED).get('.manifest');
    expect(Object.keys(JSON.parse(Buffer.from(manifest ?? []).toString()))).toEqual([
      'revision',
      'roots',
      'rego_version',
    ]);
  });

  it('is called by its digest where its manifest names no revision', () => {
    const bytes = revised('');
    expect(parse(bytes).revision).toBe(`sha256-${pinOf(bytes).sha256.slice(0, 16)}`);
  });

  const REFUSED: readonly (readonly [fault: string, code: string, bytes: () => Uint8Array, message: RegExp])[] = [
    [
      'holds Rego only',
      'bundle_not_compiled',
      () => repacked({ 'plan.json': undefined, 'policy.wasm': undefined }),
      /`sallyport build --from FOLDER -e ENTRYPOINT --out FILE`/,
    ],
    ['has no plan', 'bundle_not_compiled', () => repacked({ 'plan.json': undefined }), /no `plan.json`/],
    ['has no module', 'bundle_not_compiled', () => repacked({ 'policy.wasm': undefined }), /no `policy.wasm`/],
    ['is empty', 'bundle_not_compiled', () => packArchive(new Map()), /not compiled/],
    [
      'has a manifest that is no JSON',
      'bundle_invalid',
      () => repacked({ '.manifest': '{' }),
      /`.manifest` is not valid JSON/,
    ],
    [
      'has a manifest key that is not known',
      'bundle_invalid',
      () => repacked({ '.manifest': '{"expires":1}' }),
      /unknown key `expires`/,
    ],
    [
      'has data that are no JSON',
      'bundle_invalid',
      () => repacked({ 'data.json': '{"catalog":' }),
      /`data.json` is not valid JSON/,
    ],
    [
      'has data that are not UTF-8',
      'bundle_invalid',
      () => repacked({ 'data.json': Buffer.from([0x22, 0xff, 0x22]) }),
      /`data.json` is not valid JSON in UTF-8/,
    ],
    ['has data that begin with a BOM', 'bundle_invalid', () => repacked({ 'data.json': '\u{feff}{}' }), /`data.json`/],
    ['has a list as data', 'bundle_invalid', () => repacked({ 'data.json': '[]' }), /not an object/],
    [
      'has data outside its roots',
      'bundle_invalid',
      () => repacked({ 'data.json': '{"elsewhere":1}' }),
      /outside the roots/,
    ],
    ['has a plan without plans', 'bundle_invalid', () => repacked({ 'plan.json': '{"plans":{}}' }), /no list of plans/],
    [
      'has a plan of nothing',
      'bundle_lacks_entrypoint',
      () => repacked({ 'plan.json': '{"plans":{"plans":[]}}' }),
      /no entrypoint/,
    ],
    [
      'has a plan twice',
      'bundle_invalid',
      () => repacked({ 'plan.json': '{"plans":{"plans":[{"name":"authz/x"},{"name":"authz/x"}]}}' }),
      /a plan twice/,
    ],
    [
      'has a thousand plans and one',
      'bundle_too_large',
      () => repacked({ 'plan.json': JSON.stringify({ plans: { plans: Array(1001).fill({ name: 'authz/x' }) } }) }),
      /more than 1000 entrypoints/,
    ],
    [
      'has roots without end',
      'bundle_invalid',
      () => repacked({ '.manifest': JSON.stringify({ roots: Array.from({ length: 1001 }, (_, at) => `r${at}`) }) }),
      /more than 1000 roots/,
    ],
    [
      'has a module that is none',
      'bundle_invalid',
      () => repacked({ 'policy.wasm': 'not wasm' }),
      /not a policy module/,
    ],
    [
      'has entrypoints outside its roots',
      'bundle_invalid',
      () => repacked({ '.manifest': '{"roots":["catalog"]}' }),
      /outside the roots/,
    ],
    ['is a delta', 'bundle_invalid', () => repacked({ 'patch.json': '{"data":[]}' }), /delta bundle/],
    [
      'has data in YAML',
      'bundle_invalid',
      () => repacked({ 'catalog/data.yaml': 'a: 1' }),
      /`catalog\/data.yaml` is not read/,
    ],
    [
      'has a member of no meaning',
      'bundle_invalid',
      () => repacked({ 'README.md': '#' }),
      /`README.md` has no meaning/,
    ],
    ['is cut off', 'bundle_truncated', () => SHIPPED.subarray(0, SHIPPED.length - 1), /cut off/],
  ];

  it.each(REFUSED)('that %s is refused: %s', (_fault, code, bytes, message) => {
    expect(codeOf(() => parse(bytes()))).toBe(code);
    expect(() => parse(bytes())).toThrow(message);
    expect(() => parse(bytes())).toThrow(/^bundle `authz`/);
  });

  it('is read without a byte of its module being run', () => {
    expect(parse(repacked({ 'policy.wasm': ENDLESS_MODULE })).entrypoints).toEqual(['authz/decision', 'authz/limits']);
  });

  it('says in few words what is wrong with it, whatever it holds', () => {
    const bytes = repacked({ '.manifest': JSON.stringify({ roots: ['x'.repeat(1000), `${'x'.repeat(1000)}/y`] }) });
    expect(codeOf(() => parse(bytes))).toBe('bundle_invalid');
    expect(() => parse(bytes)).toThrow(/^.{1000,1024}$/);
  });

  it('keeps every digit of a number in the text of its data', () => {
    const data = '{"catalog":{"n":12345678901234567890.5}}';
    expect(Buffer.from(parse(repacked({ 'data.json': data })).data).toString()).toBe(data);
  });

  it('that lacks an entrypoint which config names is refused', () => {
    const bundle = parse(SHIPPED);
    expect(codeOf(() => requireEntrypoints([bundle], ['authz/decision']))).toBe('none');
    expect(codeOf(() => requireEntrypoints([bundle], ['authz/decision', 'envoy/authz/allow']))).toBe(
      'bundle_lacks_entrypoint',
    );
    expect(() => requireEntrypoints([bundle], ['envoy/authz/allow'])).toThrow(
      'bundle `authz` has no entrypoint `envoy/authz/allow`, which `policy.decisions` names; build it with `-e envoy/authz/allow`',
    );
  });
});

describe('the pin of a bundle', () => {
  it('lets the very file through and answers its digest', () => {
    const pin = pinOf(SHIPPED);
    expect(verifyTrust(SHIPPED, pin)).toBe(pin.sha256);
  });

  it('refuses every truncation at a block and at random places', () => {
    const seed = seedOf('bundle truncations');
    const random = createRandom(seed);
    const lengths = [
      ...Array.from({ length: Math.floor(SHIPPED.length / 512) + 1 }, (_, block) => block * 512),
      ...Array.from({ length: 200 }, () => random.below(SHIPPED.length)),
    ].filter((length) => length < SHIPPED.length);
    for (const length of lengths) {
      expect(codeOf(() => verifyTrust(SHIPPED.subarray(0, length), pinOf(SHIPPED)))).toBe('bundle_untrusted');
    }
  });

  it('refuses a flip of any bit, also in the gzip and tar headers', () => {
    const seed = seedOf('bundle flips');
    const random = createRandom(seed);
    const places = [0, 4, 9, SHIPPED.length - 1, ...Array.from({ length: 2_000 }, () => random.below(SHIPPED.length))];
    const damaged = Uint8Array.from(SHIPPED);
    for (const at of places) {
      const bit = 1 << random.below(8);
      damaged[at] = (damaged[at] ?? 0) ^ bit;
      expect(codeOf(() => verifyTrust(damaged, pinOf(SHIPPED)))).toBe('bundle_untrusted');
      damaged[at] = (damaged[at] ?? 0) ^ bit;
    }
    expect(codeOf(() => verifyTrust(damaged, pinOf(SHIPPED)))).toBe('none');
  });

  it.each(['', '00', 'zz'.repeat(32), `${pinOf(SHIPPED).sha256}00`])('of a wrong form pins nothing: %j', (sha256) => {
    expect(() => verifyTrust(SHIPPED, { sha256 })).toThrow(BundleError);
  });
});
