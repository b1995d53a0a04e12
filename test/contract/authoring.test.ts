import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readArchive } from '../../src/bundle/archive.ts';
import { parseBundle } from '../../src/bundle/bundle.ts';
import { parseRequestCases } from '../../src/cases/request-case.ts';
import { build } from '../../src/cli/build.ts';
import type { Command } from '../../src/cli/command.ts';
import { createEval } from '../../src/cli/eval.ts';
import { tellError } from '../../src/cli/exit-code.ts';
import { init } from '../../src/cli/init.ts';
import { lint } from '../../src/cli/lint.ts';
import { createTest } from '../../src/cli/test.ts';
import { openTrial } from '../../src/open-trial.ts';
import { type Ran, runCaptured } from '../support/captured-io.ts';
import { describeWith } from '../support/describe-with.ts';
import { eventually } from '../support/programs.ts';
import { ROOT, toolOrSkip } from '../support/tools.ts';

const opa = toolOrSkip('opa') ?? 'opa';
const openDecider = (): never => {
  throw new Error('no service is opened here');
};
const COMMANDS: Readonly<Record<string, Command>> = {
  build,
  eval: createEval({ openDecider, openTrial }),
  init,
  lint,
  test: createTest({ openTrial }),
};

/** As the command line runs it, faults told and turned into exit codes. */
function run(name: string, cwd: string, ...argv: readonly string[]): Promise<Ran> {
  const command: Command = async (args, io) => {
    try {
      return (await COMMANDS[name]?.(args, io)) ?? 1;
    } catch (error) {
      return tellError(error, name, io);
    }
  };
  return runCaptured(command, argv, { cwd });
}

const scratch = mkdtempSync(join(tmpdir(), 'sallyport-authoring-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let made = 0;

function fresh(name: string): string {
  made += 1;
  return join(scratch, `${name}-${made}`);
}

/** A copy of the repo that `init` makes. */
function repo(): string {
  const folder = fresh('copy');
  cpSync(join(scratch, 'repo'), folder, { recursive: true });
  return folder;
}

function change(folder: string, file: string, from: string, to: string): void {
  const text = readFileSync(join(folder, file), 'utf8');
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
  writeFileSync(join(folder, file), text.replace(from, to));
}

describeWith(['opa'], 'a policy repo', () => {
  beforeAll(async () => {
    expect(await run('init', scratch, 'repo')).toMatchObject({ code: 0, stderr: '' });
  });

  it('as `init` makes it passes its own tests, coverage and lint, and builds', async () => {
    const folder = repo();
    const tested = await run(
      'test',
      folder,
      '--coverage-threshold',
      '95',
      '--junit',
      'out/t.xml',
      '--lcov',
      'out/c.info',
    );
    expect(tested, tested.stdout).toMatchObject({ code: 0, stderr: '' });
    expect(tested.stdout).toMatch(/opa test: 1\d\d passed, 0 failed\nrequest cases: (?:1[2-9]|2\d) passed, 0 failed\n/);
    expect(readFileSync(join(folder, 'out/t.xml'), 'utf8')).toContain('<testsuite name="request cases"');
    expect(readFileSync(join(folder, 'out/c.info'), 'utf8')).toContain('SF:policies/authz/authz.rego\n');
    expect(await run('lint', folder)).toMatchObject({ code: 0, stdout: expect.stringContaining(' 0 findings') });
    expect(await run('build', folder)).toMatchObject({ code: 0 });
    expect(await run('build', folder, '--check')).toMatchObject({ code: 0 });
  });

  it('has a CI file that tests, lints and signs, and names no secret', () => {
    const text = readFileSync(join(scratch, 'repo/.github/workflows/policy.yml'), 'utf8');
    const { jobs, permissions } = parse(text);
    expect(permissions).toEqual({ contents: 'read' });
    expect(Object.keys(jobs)).toEqual(['test', 'build']);
    for (const line of ['sallyport lint', 'sallyport test --coverage-threshold', 'sallyport build --sign --key']) {
      expect(text).toContain(line);
    }
    expect(readFileSync(join(scratch, 'repo/.gitignore'), 'utf8')).toContain('*.pem');
  });

  it('is not made where something is already', async () => {
    const taken = join(scratch, 'taken');
    mkdirSync(taken);
    writeFileSync(join(taken, 'notes.txt'), 'mine');
    expect(await run('init', scratch, 'taken')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('`taken` is not empty'),
    });
    expect(await run('init', scratch, 'taken/notes.txt')).toMatchObject({ code: 2 });
    expect(existsSync(join(taken, 'policies'))).toBe(false);
  });

  it('packs its cases into the bundle, which OPA loads all the same, and its revision follows from them', async () => {
    const folder = repo();
    await run('build', folder);
    const bytes = new Uint8Array(readFileSync(join(folder, 'bundles/authz.tar.gz')));
    const bundle = parseBundle('authz', bytes);
    const names = parseRequestCases(bundle.cases, 'cases.json').map(({ name }) => name);
    expect(names.length).toBeGreaterThanOrEqual(12);
    expect(names).toEqual([...names].sort());
    expect(readArchive(bytes).has('cases.json')).toBe(true);
    const { stdout } = await promisify(execFile)(opa, [
      'eval',
      '-b',
      join(folder, 'bundles/authz.tar.gz'),
      '-f',
      'raw',
      'data.authz.allow',
    ]);
    expect(stdout.trim()).toBe('false');
    change(folder, 'policies/authz/smoke.cases.yaml', 'name: the anonymous are refused\n', 'name: nobody passes\n');
    await run('build', folder);
    expect(parseBundle('authz', new Uint8Array(readFileSync(join(folder, 'bundles/authz.tar.gz')))).revision).not.toBe(
      bundle.revision,
    );
  });

  it.each<[string, string, string, string, RegExp]>([
    [
      'a rule that lets other tenants in',
      'policies/tenancy/tenancy.rego',
      'not within_own_tenant',
      'false',
      /FAILED policies\/authz\/smoke\.cases\.yaml:\d+ a model of another tenant is forbidden\n {4}`decision`: expected deny, got allow/,
    ],
    [
      'a case that expects another answer',
      'policies/authz/smoke.cases.yaml',
      'status: 429, code: quota_exceeded, response_headers',
      'status: 402, code: quota_exceeded, response_headers',
      /`status`: expected 402, got 429[\s\S]*decision {3}deny 429[\s\S]*quota {6}client-rps 0 of 50/,
    ],
    [
      'data without a model',
      'policies/catalog/data.json',
      '"mistral-7b": {',
      '"mistral-8b": {',
      /FAILED[\s\S]*reason {5}unknown_model/,
    ],
  ])('with %s fails, and says what was expected and why it came otherwise', async (_title, file, from, to, wanted) => {
    const folder = repo();
    change(folder, file, from, to);
    const { code, stdout } = await run('test', folder);
    expect(code).toBe(1);
    expect(stdout).toMatch(wanted);
  });

  it.each<[string, string, string, string, string]>([
    ['Rego that does not parse', 'policies/tiers/tiers.rego', 'package tiers', 'package', 'rego_parse_error'],
    [
      'a case with an unknown key',
      'policies/authz/smoke.cases.yaml',
      'identity: anonymous',
      'idenity: anonymous',
      '`idenity` of case `the anonymous are refused` is unknown',
    ],
    [
      'a definition that names cases that are not there',
      'bundles/authz.json',
      '"cases": ["policies"]',
      '"cases": ["elsewhere"]',
      '`elsewhere`, which `cases` names',
    ],
  ])('with %s exits 4', async (_title, file, from, to, words) => {
    const folder = repo();
    change(folder, file, from, to);
    const { code, stderr } = await run('test', folder);
    expect(code).toBe(4);
    expect(stderr).toContain(words);
  });

  it('whose tests reach less than the threshold exits 1 and names the lines', async () => {
    const folder = repo();
    writeFileSync(
      join(folder, 'policies/tiers/more.rego'),
      'package tiers\n\nunheard_of if input.identity.tier == "none"\n',
    );
    const { code, stdout } = await run('test', folder, '--coverage-threshold', '100');
    expect(code).toBe(1);
    expect(stdout).toContain('no test evaluates policies/tiers/more.rego:3\n');
    expect((await run('test', folder, '--coverage-threshold', '90')).code).toBe(0);
  });

  it('runs only what `--run` names, and says when that is nothing', async () => {
    const some = await run('test', repo(), '--run', 'another tenant|test_unknown_tier');
    expect(some.code).toBe(0);
    expect(some.stdout).toMatch(/^opa test: \d passed, 0 failed\nrequest cases: 1 passed, 0 failed\n$/);
    const none = await run('test', repo(), '--run', 'no such name');
    expect(none).toMatchObject({ code: 1, stdout: 'no test and no case has such a name\n' });
    for (const argv of [
      ['--run', '('],
      ['--coverage-threshold', '101'],
      ['a.json', 'b.json'],
    ]) {
      expect((await run('test', repo(), ...argv)).code, argv.join(' ')).toBe(2);
    }
  });

  it('is tested again after a change, also after one that does not parse, until it is stopped', async () => {
    const folder = repo();
    const stop = new AbortController();
    let stdout = '';
    const told = (text: string): void => {
      stdout += text;
    };
    const io = { stdout: told, stderr: () => undefined, cwd: folder, env: {} };
    const ended = createTest({ openTrial, stop: stop.signal })(['--watch', '--junit', 'policies/out.json'], io);
    const rounds = (count: number): Promise<true> =>
      eventually(() => Promise.resolve(stdout.split('waiting for changes\n').length > count ? true : undefined));
    await rounds(1);
    change(folder, 'policies/tiers/tiers.rego', 'package tiers', 'package');
    await rounds(2);
    change(folder, 'policies/tiers/tiers.rego', 'package', 'package tiers');
    await rounds(3);
    // Saved as editors do it: another file in its place.
    const definition = join(folder, 'bundles/authz.json');
    writeFileSync(
      `${definition}.new`,
      readFileSync(definition, 'utf8').replace('"cases": ["policies"]', '"cases": []'),
    );
    renameSync(`${definition}.new`, definition);
    await rounds(4);
    stop.abort();
    expect(await ended).toBe(0);
    expect(stdout.match(/^.*; waiting for changes$/gm)).toEqual(
      ['all passed', 'failed', 'all passed', 'all passed'].map((told) => `${told}; waiting for changes`),
    );
  }, 60_000);

  it('decides one case with all that led to it', async () => {
    const file = 'policies/authz/smoke.cases.yaml';
    const good = await run('eval', repo(), '--case', 'whoever has used up his requests waits', '--file', file);
    expect(good.code, good.stderr).toBe(0);
    expect(good.stdout).toMatch(
      /^decision {3}deny 429[\s\S]*^charge {5}client-rps 1 of 50 requests[\s\S]*^quota {6}client-rps 0 of 50[\s\S]*^answers {4}retry-after: 2$/m,
    );
    const folder = repo();
    change(folder, file, 'reasons: [not_granted]', 'reasons: [granted]');
    const bad = await run(
      'eval',
      folder,
      '--case',
      'a model that the tier is not granted is forbidden',
      '--file',
      file,
    );
    expect(bad).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('not as expected: `reasons`: expected ["granted"]'),
    });
    expect((await run('eval', folder, '--case', 'no such', '--file', file)).code).toBe(2);
    expect((await run('eval', folder, '--case', 'no such')).code).toBe(2);
  });
});

describeWith(['opa'], 'lint', () => {
  async function findings(...body: readonly string[]): Promise<readonly string[]> {
    const file = `${fresh('lint')}.rego`;
    writeFileSync(file, `package x\n\n${body.join('\n')}\n`);
    const { code, stdout } = await run('lint', scratch, file, '--json');
    const found: { readonly findings: readonly { rule: string; row: number; column: number; message: string }[] } =
      JSON.parse(stdout);
    expect(code).toBe(found.findings.length === 0 ? 0 : 1);
    return found.findings.map(({ rule, row, column }) => `${row}:${column} ${rule}`);
  }

  it('finds nothing in the shipped policies', async () => {
    expect(await run('lint', ROOT)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+ files, 0 findings\n$/),
    });
  });

  it.each<[string, readonly string[], readonly string[]]>([
    [
      'a header that identity answers',
      ['allow if input.attributes.request.http.headers["x-tenant-id"] == "a"'],
      ['3:10 raw-header'],
    ],
    [
      'the same through an import',
      ['import input.attributes.request.http as http', 'allow if http.headers.authorization == "a"'],
      ['4:10 raw-header'],
    ],
    [
      'the same through a constant rule',
      ['headers := input.attributes.request.http.headers', 'allow if startswith(headers.Authorization, "Bearer ")'],
      ['4:21 raw-header'],
    ],
    [
      'the same through a local name',
      ['allow if {', '\th := input.attributes.request.http.headers', '\th["x-forwarded-for"] == "a"', '}'],
      ['5:2 raw-header'],
    ],
    [
      'the same by `object.get`',
      ['allow if object.get(input.attributes.request.http.headers, "x-roles", "") == "admin"'],
      ['3:10 raw-header'],
    ],
    [
      'every header at once',
      ['allow if { some name, _ in input.attributes.request.http.headers; name == "a" }'],
      ['3:28 raw-header'],
    ],
    [
      'one inside a comprehension',
      ['names := {x | x := input.attributes.request.http.headers.host; x != "a"}'],
      ['3:20 raw-header', '3:64 absent-comparison'],
    ],
    [
      'one in an else',
      ['r := 1 if false', 'else := 2 if input.attributes.request.http.headers["x-api-key"] == "a"'],
      ['4:1 raw-header'],
    ],
    [
      'no header that only a header has',
      ['allow if input.attributes.request.http.headers["accept-language"] == "de"'],
      [],
    ],
    ['an order of what may be absent', ['allow if input.inference.max_tokens < 100'], ['3:10 absent-comparison']],
    [
      'the same on the right, and with a name',
      ['allow if { n := input.inference.max_tokens; 100 >= n }'],
      ['3:52 absent-comparison'],
    ],
    ['`!=` of what may be absent', ['reasons contains "asn" if input.network.asn != 1'], ['3:27 absent-comparison']],
    ['an order of the quota', ['allow if input.quota.limits["rps"].remaining > 0'], ['3:10 absent-comparison']],
    ['one inside `every`', ['allow if every x in [1] { x > input.inference.candidates }'], ['3:31 absent-comparison']],
    [
      'no order whose type is said',
      ['allow if { is_number(input.inference.max_tokens); input.inference.max_tokens < 100 }'],
      [],
    ],
    [
      'an order that is only said to be there',
      ['allow if { input.inference.max_tokens; input.inference.max_tokens < 100 }'],
      ['3:40 absent-comparison'],
    ],
    ['no `!=` of what is said to be there', ['allow if { input.network.country; input.network.country != "X" }'], []],
    ['no comparison that has a default', ['allow if object.get(input.inference, "max_tokens", 0) < 100'], []],
    [
      'no comparison of what is always there',
      ['allow if { input.identity.kind != "anonymous"; input.request.method != "GET" }'],
      [],
    ],
    ['no equality', ['allow if input.identity.tenant == input.route.tenant'], []],
    ['a negation that permits', ['allow if not input.network.country == "X"'], ['3:10 absent-negation']],
    ['a negated membership', ['allow if not input.network.country in {"X"}'], ['3:10 absent-negation']],
    ['a negated flag', ['allow if not input.inference.stream'], ['3:10 absent-negation']],
    ['a negated claim', ['allow if not input.identity.claims.suspended'], ['3:10 absent-negation']],
    ['no test of absence itself', ['allow if not input.identity.models'], []],
    [
      'no negation that refuses',
      ['reasons contains "x" if not input.network.country == "X"', 'deny if not input.network.country == "X"'],
      [],
    ],
    ['a comparison with null', ['allow if input.identity.tenant == null'], ['3:10 never-null']],
    ['no comparison with null of what can be', ['allow if input.peer == null'], []],
    [
      'nothing that its line ignores',
      ['allow if input.inference.max_tokens < 100 # sallyport:ignore absent-comparison'],
      [],
    ],
    [
      'nothing that the line before ignores',
      ['# sallyport:ignore absent-comparison raw-header', 'allow if input.inference.max_tokens < 100'],
      [],
    ],
    [
      'what another rule is ignored for',
      ['# sallyport:ignore raw-header', 'allow if input.inference.max_tokens < 100'],
      ['4:10 absent-comparison'],
    ],
    [
      'a rule that there is not',
      ['# sallyport:ignore all', 'allow if input.identity.kind == "jwt"'],
      ['3:1 unknown-rule'],
    ],
  ])('finds %s', async (_title, body, wanted) => {
    expect(await findings('default allow := false', ...body).catch(String)).toEqual(
      wanted.map((place) => place.replace(/^\d+/, (row) => String(Number(row) + 1))),
    );
  });

  it('tells file, line, column and what to do', async () => {
    const file = join(scratch, 'told.rego');
    writeFileSync(file, 'package x\n\nallow if input.attributes.request.http.headers["x-tenant"] == "a"\n');
    expect((await run('lint', scratch, file)).stdout).toBe(
      'told.rego:3:10: raw-header: reads the header `x-tenant` as the client sent it: read `input.identity.tenant`\n1 files, 1 findings\n',
    );
    writeFileSync(file, 'package x\nallow if {\n');
    expect(await run('lint', scratch, file)).toMatchObject({ code: 4 });
    expect(await run('lint', scratch, 'nowhere')).toMatchObject({ code: 4 });
  });
});
