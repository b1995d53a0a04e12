import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { createActivator } from '../../src/bundle/activator.ts';
import { createPinAuthority } from '../../src/bundle/agent/authority.ts';
import { unpackTar } from '../../src/bundle/archive.ts';
import { type BuildOptions, buildBundle } from '../../src/bundle/builder.ts';
import { type Bundle, parseBundle } from '../../src/bundle/bundle.ts';
import { parseDefinition } from '../../src/bundle/definition.ts';
import { BundleError } from '../../src/bundle/errors.ts';
import type { BundleSource } from '../../src/bundle/source.ts';
import { build } from '../../src/cli/build.ts';
import { packedCases } from '../../src/cli/case-files.ts';
import { UsageError } from '../../src/cli/command.ts';
import { INPUT_MEMBERS, type PolicyInput } from '../../src/decision/input.ts';
import { isObject, RawJson } from '../../src/decision/json.ts';
import { createWasmEngine } from '../../src/policy/wasm-engine.ts';
import { describeWith } from '../support/describe-with.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { ROOT, toolOrSkip } from '../support/tools.ts';

const opa = toolOrSkip('opa') ?? 'opa';
const LEGACY = join(ROOT, 'test/contract/fixtures/legacy');
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-bundle-'));
const shippedFile = join(ROOT, 'bundles/authz.tar.gz');
const shipped = new Uint8Array(readFileSync(shippedFile));
const definitionFile = join(ROOT, 'bundles/authz.json');
const definition = parseDefinition(definitionFile, readFileSync(definitionFile, 'utf8'));
const shippedBuild: BuildOptions = {
  opa,
  from: join(ROOT, definition.source),
  entrypoints: definition.entrypoints,
  capabilities: join(ROOT, definition.capabilities),
  ignore: definition.ignore,
  v0Compatible: false,
  cases: await packedCases(definition, ROOT),
};

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A folder with these files. */
function folderOf(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(scratch, name);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  return folder;
}

const buildFolder = (from: string, entrypoints: readonly string[], more: Partial<BuildOptions> = {}) =>
  buildBundle({ ...shippedBuild, cases: [], from, entrypoints, ...more });

/** What a real OPA says of a bundle file (or a folder) and an input; `undefined` when it says nothing. */
function askOpa(bundle: string, entrypoint: string, input: unknown): unknown {
  const query = `data.${entrypoint.replaceAll('/', '.')}`;
  const said = execFileSync(opa, ['eval', '--bundle', bundle, '--stdin-input', '--format', 'json', query], {
    input: JSON.stringify(input),
    encoding: 'utf8',
  });
  return JSON.parse(said).result?.[0]?.expressions?.[0]?.value;
}

/** What the engine of the service says of a bundle. */
async function engineOf(bundle: Bundle): Promise<(entrypoint: string, input: unknown) => unknown> {
  const clock = createManualClock();
  const decisions = { default: { decision: bundle.entrypoints[0] ?? '', result: 'opa-envoy' as const } };
  const engine = createWasmEngine({
    config: { budget_ms: 60_000, memory_max_mb: 64, decisions },
    clock,
    randomBytes,
    pause,
    onSpareFailure: () => {},
  });
  const policy = await engine.load(bundle);
  return (entrypoint, input) => policy.evaluate(entrypoint, toPolicyInput(input), clock.now()).value;
}

function toPolicyInput(input: unknown): PolicyInput {
  const members = isObject(input) ? input : {};
  // Every member has its entry.
  return Object.fromEntries(
    INPUT_MEMBERS.map((member) => [
      member,
      () => (members[member] === undefined ? undefined : new RawJson(JSON.stringify(members[member]))),
    ]),
  ) as PolicyInput;
}

describeWith(['opa'], 'the checked-in bundle', () => {
  it('is what its sources give, byte for byte of the tar', async () => {
    const { bytes } = await buildBundle(shippedBuild);
    expect(Buffer.compare(unpackTar(bytes), unpackTar(shipped)), 'run `npm run bundle` and pin the digest').toBe(0);
  });

  it('is pinned by sallyport.yaml and by the digest beside it', () => {
    const sha256 = createHash('sha256').update(shipped).digest('hex');
    const config: unknown = parseYaml(readFileSync(join(ROOT, 'sallyport.yaml'), 'utf8'));
    expect(config).toMatchObject({ bundles: { authz: { file: 'bundles/authz.tar.gz', trust: { sha256 } } } });
    expect(readFileSync(`${shippedFile}.sha256`, 'utf8')).toBe(`${sha256}  authz.tar.gz\n`);
  });

  it('is built with capabilities that are OPA’s own without what reaches out', () => {
    const all = JSON.parse(execFileSync(opa, ['capabilities', '--current'], { encoding: 'utf8' }));
    const kept = JSON.parse(readFileSync(join(ROOT, 'bundles/capabilities.json'), 'utf8'));
    const names = (list: { builtins: { name: string }[] }) => list.builtins.map(({ name }) => name);
    const withheld = names(all).filter((name) => !names(kept).includes(name));
    expect(withheld.sort()).toEqual([
      'http.send',
      'net.lookup_ip_addr',
      'opa.runtime',
      'providers.aws.sign_req',
      'rego.parse_module',
    ]);
    expect(names(kept).filter((name) => !names(all).includes(name))).toEqual([]);
  });

  const known = { known: true, bytes: 10 };
  const call = (identity: object, route: object, size: object = known, method = 'POST') => ({
    request: { method, path: '/x', size },
    route: { name: 'infer', tenant: 'tenant-a', model: 'llama-3-8b', operation: 'infer', params: {}, ...route },
    identity: { kind: 'jwt', tenant: 'tenant-a', tier: 'free', roles: [], scopes: [], claims: {}, ...identity },
  });
  const INPUTS: readonly (readonly [string, unknown])[] = [
    ['a granted call', call({}, {})],
    ['an anonymous call', call({ kind: 'anonymous' }, {})],
    ['another tenant', call({}, { tenant: 'tenant-b' })],
    ['an unknown tenant', call({ tenant: '__proto__' }, { tenant: '__proto__' })],
    ['an unknown tier', call({ tier: 'constructor' }, {})],
    ['a model that is not granted', call({}, { model: 'mistral-7b' })],
    ['an unknown model', call({}, { model: 'toString' })],
    ['too large a payload', call({}, {}, { known: true, bytes: 65537 })],
    ['a payload of unknown size', call({}, {}, { known: false, at_least: 3 })],
    ['no route', { ...call({}, {}), route: null }],
    ['a preflight', call({ kind: 'anonymous' }, { operation: 'preflight' }, known, 'OPTIONS')],
    ['nothing', {}],
  ];

  it.each(INPUTS)('answers %s as OPA does, from the bundle, from the sources and in Wasm', async (_title, input) => {
    const evaluate = await engineOf(parseBundle('authz', shipped));
    for (const entrypoint of definition.entrypoints) {
      const fromBundle = askOpa(shippedFile, entrypoint, input);
      expect(fromBundle).toBeDefined();
      expect(askOpa(shippedBuild.from, entrypoint, input)).toEqual(fromBundle);
      expect(evaluate(entrypoint, input)).toEqual(fromBundle);
    }
  });
});

describeWith(['opa'], 'the builder', () => {
  const SOURCES = {
    'shop/shop.rego': 'package shop\n\n# METADATA\n# entrypoint: true\nallow := data.shop.open\n',
    'shop/data.json': '{"open": true, "number": 12345678901234567890}',
    'shop/shop_test.rego': 'package shop.test\n\ntest_open if data.shop.allow\n',
  };
  const revisionOf = async (name: string, files: Record<string, string>, more: Partial<BuildOptions> = {}) =>
    (await buildFolder(folderOf(name, files), [], more)).bundle.revision;

  it('gives equal bytes twice, from different folders, and leaves tests out', async () => {
    const one = await buildFolder(folderOf('one', SOURCES), []);
    const { 'shop/data.json': data, ...rego } = SOURCES;
    const two = await buildFolder(folderOf('elsewhere/two', { 'shop/data.json': data, ...rego }), []);
    expect(Buffer.compare(one.bytes, two.bytes)).toBe(0);
    expect([...one.bundle.rego.keys()]).toEqual(['shop/shop.rego']);
    expect(one.bundle.entrypoints).toEqual(['shop/allow']);
    expect(Buffer.from(one.bundle.data).toString()).toContain('12345678901234567890');
    expect(Buffer.from(one.bundle.plan).toString()).not.toContain(scratch);
  });

  it('derives the revision from rules, data, roots, capabilities and Rego version, and from nothing else', async () => {
    const capabilities = JSON.parse(readFileSync(shippedBuild.capabilities, 'utf8'));
    const fewer = join(
      folderOf('caps', {
        'c.json': JSON.stringify({ ...capabilities, features: [...capabilities.features].reverse() }),
      }),
      'c.json',
    );
    const revisions = [
      await revisionOf('r0', SOURCES),
      await revisionOf('r1', { ...SOURCES, 'shop/data.json': '{"open": false}' }),
      await revisionOf('r2', { ...SOURCES, 'shop/shop.rego': `${SOURCES['shop/shop.rego']}\nother := 1\n` }),
      await revisionOf('r3', { ...SOURCES, '.manifest': '{"roots": ["shop"]}' }),
      await revisionOf('r4', SOURCES, { capabilities: fewer }),
      await revisionOf('r5', SOURCES, { v0Compatible: true, ignore: ['*_test.rego'] }),
    ];
    expect(new Set(revisions).size).toBe(revisions.length);
    expect(await revisionOf('r6', { ...SOURCES, 'shop/shop_test.rego': 'package shop.test\n' })).toBe(revisions[0]);
    expect(await revisionOf('r7', SOURCES, { revision: 'release 7' })).toBe('release 7');
  });

  it.each<[string, Record<string, string>, readonly string[], string, RegExp]>([
    [
      'Rego that does not parse',
      { 'a.rego': 'package a\nallow if' },
      ['a/allow'],
      'bundle_build_failed',
      /rego_parse_error/,
    ],
    [
      'a builtin that opens connections',
      { 'a.rego': 'package a\nallow if http.send({"url": "http://x", "method": "GET"})' },
      ['a/allow'],
      'bundle_build_failed',
      /http\.send/,
    ],
    [
      'a builtin that reads the process',
      { 'a.rego': 'package a\nallow := opa.runtime()' },
      ['a/allow'],
      'bundle_build_failed',
      /opa\.runtime/,
    ],
    [
      'an entrypoint that nothing defines',
      { 'a.rego': 'package a\nallow := true' },
      ['a/deny'],
      'bundle_build_failed',
      /a\/deny/,
    ],
    [
      'data where a rule is',
      { 'a.rego': 'package a\nallow := true', 'a/data.json': '{"allow": false}' },
      ['a/allow'],
      'bundle_build_failed',
      /conflict/,
    ],
    [
      'a rule outside the roots',
      { 'a.rego': 'package a\nallow := true', '.manifest': '{"roots": ["b"]}' },
      ['a/allow'],
      'bundle_build_failed',
      /roots/,
    ],
    ['no entrypoint at all', { 'a.rego': 'package a\nallow := true' }, [], 'bundle_build_failed', /entrypoint/],
  ])('refuses %s in OPA’s own words', async (title, files, entrypoints, code, words) => {
    const built = buildFolder(folderOf(title.replaceAll(' ', '-'), files), entrypoints);
    await expect(built).rejects.toMatchObject({ name: 'BundleError', code, message: expect.stringMatching(words) });
  });

  it('says that a folder is missing', async () => {
    await expect(buildFolder(join(scratch, 'nowhere'), [])).rejects.toMatchObject({ code: 'bundle_missing' });
  });
});

describeWith(['opa'], 'policies written for opa-envoy-plugin', () => {
  const FIXTURES = [
    { name: 'v0-signed-tokens', v0Compatible: true },
    { name: 'v1-office-hours', v0Compatible: false },
  ] as const;

  it.each(FIXTURES)(
    'are built from $name and answer their cases in OPA and in Wasm',
    async ({ name, v0Compatible }) => {
      const { bytes, bundle } = await buildFolder(join(LEGACY, name), ['envoy/authz/allow'], { v0Compatible });
      const file = join(scratch, `${name}.tar.gz`);
      writeFileSync(file, bytes);
      const evaluate = await engineOf(bundle);
      // The fixture is ours: a list of cases.
      const cases = JSON.parse(readFileSync(join(LEGACY, name, 'cases.json'), 'utf8')) as {
        readonly title: string;
        readonly input: unknown;
        readonly result: unknown;
      }[];
      expect(cases.length).toBeGreaterThanOrEqual(10);
      for (const { title, input, result } of cases) {
        expect(askOpa(file, 'envoy/authz/allow', input), `OPA: ${title}`).toEqual(result);
        expect(evaluate('envoy/authz/allow', input), `Wasm: ${title}`).toEqual(result);
      }
    },
  );

  it('are told apart: Rego v0 is no Rego v1', async () => {
    const built = buildFolder(join(LEGACY, 'v0-signed-tokens'), ['envoy/authz/allow']);
    await expect(built).rejects.toMatchObject({ code: 'bundle_build_failed' });
  });
});

describeWith(['opa'], 'two bundles', () => {
  const packageOf = async (name: string, answer: string) =>
    (
      await buildFolder(
        folderOf(`${name}-${answer}`, {
          [`${name}.rego`]: `package ${name}\n\nallow := "${answer}"\n`,
          '.manifest': `{"roots": ["${name}"]}`,
        }),
        [`${name}/allow`],
        { revision: answer },
      )
    ).bytes;

  it('are activated as one generation, and a faulty one holds up neither the old set nor the other', async () => {
    const files = new Map([
      ['left', await packageOf('left', 'l1')],
      ['right', await packageOf('right', 'r1')],
    ]);
    const clock = createManualClock();
    const watched = [...files.keys()].map((name) => {
      const source: BundleSource = { kind: 'file', load: async () => ({ bytes: files.get(name) ?? new Uint8Array() }) };
      const trust = {
        get sha256() {
          return createHash('sha256')
            .update(files.get(name) ?? '')
            .digest('hex');
        },
      };
      return [name, { source, authority: createPinAuthority(trust, clock), minDelayMs: 1, maxDelayMs: 1 }] as const;
    });
    const inForce: string[] = [];
    const activator = createActivator({
      bundles: new Map(watched),
      entrypoints: ['left/allow', 'right/allow'],
      activate: (bundles) => {
        const revisions = bundles.map(({ revision }) => revision);
        if (revisions.includes('bad')) throw new Error('not this one');
        inForce.push(revisions.join('+'));
      },
      clock,
      startTimer: clock.startTimer,
      random: () => 0,
      logger: { info: () => {}, warn: () => {} },
      metrics: {
        bundleActivated: () => {},
        bundleRefused: () => {},
        bundleCopyFailed: () => {},
        trackBundleAges: () => {},
      },
    });
    await activator.start();
    expect(inForce).toEqual(['l1+r1']);
    files.set('left', await packageOf('left', 'bad'));
    await activator.reload();
    expect(inForce).toEqual(['l1+r1']);
    expect(activator.status().get('left')).toMatchObject({ revision: 'l1', lastError: { code: 'bundle_rejected' } });
    files.set('right', await packageOf('right', 'r2'));
    await activator.reload();
    expect(inForce.at(-1)).toBe('l1+r2');
    files.set('left', await packageOf('left', 'l2'));
    await activator.reload();
    expect(inForce.at(-1)).toBe('l2+r2');
    await activator.stop();
  });
});

describeWith(['opa'], 'sallyport build', () => {
  const runBuild = async (cwd: string, ...argv: string[]) => {
    const said = { out: '', err: '' };
    const io = {
      stdout: (text: string) => {
        said.out += text;
      },
      stderr: (text: string) => {
        said.err += text;
      },
      cwd,
      env: process.env,
    };
    return { code: await build(argv, io), ...said };
  };

  it('says that the checked-in bundle is what its sources give', async () => {
    expect(await runBuild(ROOT, '--check')).toMatchObject({
      code: 0,
      out: expect.stringContaining('is what its sources give'),
    });
  });

  it('builds a folder, prints revision and digest, and writes the digest beside', async () => {
    cpSync(join(LEGACY, 'v0-signed-tokens'), join(scratch, 'cli/policies'), { recursive: true });
    const argv = ['--from', 'policies', '-e', 'envoy/authz/allow', '--v0-compatible', '--out', 'out/legacy.tar.gz'];
    const first = await runBuild(join(scratch, 'cli'), ...argv);
    expect(first.code).toBe(0);
    const sha256 = createHash('sha256')
      .update(readFileSync(join(scratch, 'cli/out/legacy.tar.gz')))
      .digest('hex');
    expect(first.out).toContain(`sha256       ${sha256}`);
    expect(first.out).toMatch(/revision {5}[0-9a-f]{24}\n/);
    expect(readdirSync(join(scratch, 'cli/out')).sort()).toEqual(['legacy.tar.gz', 'legacy.tar.gz.sha256']);
    expect(await runBuild(join(scratch, 'cli'), ...argv, '--check')).toMatchObject({ code: 0 });
    writeFileSync(join(scratch, 'cli/policies/more.rego'), 'package more\n');
    expect(await runBuild(join(scratch, 'cli'), ...argv, '--check')).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not what its sources give'),
    });
  });

  it('exits 1 with OPA’s words when the sources do not compile', async () => {
    const folder = folderOf('cli-broken', { 'a.rego': 'package a\nallow if' });
    const result = await runBuild(scratch, '--from', folder, '-e', 'a/allow', '--out', 'x.tar.gz');
    expect(result).toMatchObject({ code: 1, err: expect.stringContaining('rego_parse_error') });
  });

  it('teaches with --help', async () => {
    const { code, out } = await runBuild(scratch, '--help');
    expect(code).toBe(0);
    for (const option of ['--from', '--v0-compatible', '--check', '--entrypoint']) expect(out).toContain(option);
  });

  it.each<[string, string[], typeof BundleError | typeof UsageError]>([
    ['an unknown option', ['--frm', 'x'], UsageError],
    ['--from without --out', ['--from', 'x'], UsageError],
    ['a definition and --from', ['a.json', '--from', 'x', '--out', 'y'], UsageError],
    ['two definitions', ['a.json', 'b.json'], UsageError],
    ['a definition that is no .json', ['policies'], UsageError],
    ['-e without --from', ['-e', 'a/b'], UsageError],
    ['a definition that is not there', ['gone.json'], BundleError],
    ['a folder that is not there', ['--from', 'gone', '-e', 'a/b', '--out', 'y'], BundleError],
  ])('refuses %s', async (_fault, argv, kind) => {
    await expect(runBuild(scratch, ...argv)).rejects.toThrow(kind);
  });
});
