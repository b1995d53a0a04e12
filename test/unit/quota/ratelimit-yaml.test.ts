import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { matchDescriptor } from '../../../src/quota/descriptors/descriptors.ts';
import { checkRateLimitFiles, loadRateLimitFiles } from '../../../src/quota/descriptors/ratelimit-files.ts';
import { parseRateLimitYaml, type RateLimitFile } from '../../../src/quota/descriptors/ratelimit-yaml.ts';

interface Read {
  readonly file: RateLimitFile | undefined;
  readonly faults: readonly string[];
  readonly notes: readonly string[];
}

function read(text: string): Read {
  const faults: string[] = [];
  const notes: string[] = [];
  const file = parseRateLimitYaml(text, {
    fault: (line, message) => faults.push(`${line}: ${message}`),
    note: (line, message) => notes.push(`${line}: ${message}`),
  });
  return { file, faults, notes };
}

function ruleOf({ file }: Read, ...texts: readonly string[]): ReturnType<typeof matchDescriptor> {
  const entries = texts.flatMap((key, at) => (at % 2 === 0 ? [{ key, value: texts[at + 1] ?? '' }] : []));
  const domains = new Map(file === undefined ? [] : [[file.domain, file.tree]]);
  return matchDescriptor({ domains }, file?.domain ?? '', entries);
}

const FILE = `
domain: mongo_cps
descriptors:
  - key: database
    value: users
    rate_limit: &shared
      unit: second
      requests_per_unit: 500
  - key: database
    value: default
    rate_limit: *shared
  - key: flag
    value: yes
    rate_limit: {unit: Day, requests_per_unit: 1, name: daily}
  - key: number
    value: 0123
    rate_limit: {unit: WEEK, requests_per_unit: 0}
    shadow_mode: true
  - key: remote_address
    detailed_metric: true
    value_to_metric: on
    rate_limit: {unlimited: true, name: open, replaces: [{name: daily}]}
    descriptors:
      - key: path
        value: /api/*
        share_threshold: true
        rate_limit:
          unit: month
          requests_per_unit: 4294967295
`;

describe('a limits file of envoyproxy/ratelimit', () => {
  const parsed = read(FILE);

  it('is read as it is', () => {
    expect(parsed.faults).toEqual([]);
    expect(parsed.file?.domain).toBe('mongo_cps');
    expect(ruleOf(parsed, 'database', 'users')).toMatchObject({
      rule: {
        terms: { kind: 'window', unit: 'requests', limit: 500, periodSeconds: 1, mode: 'enforce', scope: 'shared' },
        current: { name: '', requestsPerUnit: 500, unit: 'second' },
        countsOverLimit: true,
      },
      key: [],
    });
  });

  it('may name a value by a text that looks like something else', () => {
    expect(ruleOf(parsed, 'flag', 'yes')?.rule).toMatchObject({ current: { name: 'daily', unit: 'day' } });
    expect(ruleOf(parsed, 'number', '0123')?.rule).toEqual({
      kind: 'block',
      current: { name: '', requestsPerUnit: 0, unit: 'week' },
      shadow: true,
      replaces: [],
    });
  });

  it('counts windows of 30 and 365 days, in seconds since the epoch', () => {
    const seconds = ['second', 'minute', 'hour', 'day', 'week', 'month', 'year'].map((unit) => {
      const one = read(`{domain: d, descriptors: [{key: k, rate_limit: {unit: ${unit}, requests_per_unit: 1}}]}`);
      const rule = ruleOf(one, 'k', 'v')?.rule;
      return rule?.kind === 'limit' ? rule.terms.periodSeconds : undefined;
    });
    expect(seconds).toEqual([1, 60, 3600, 86_400, 604_800, 2_592_000, 31_536_000]);
  });

  it('may share aliases, limits of no end, and prefixes that count together', () => {
    expect(ruleOf(parsed, 'database', 'default')?.rule).toMatchObject({ current: { requestsPerUnit: 500 } });
    expect(ruleOf(parsed, 'remote_address', '10.0.0.1')).toEqual({
      rule: { kind: 'unlimited', current: { name: 'open' }, replaces: ['daily'] },
      key: ['10.0.0.1'],
    });
    expect(ruleOf(parsed, 'remote_address', '10.0.0.1', 'path', '/api/v1')).toMatchObject({
      rule: { terms: { limit: 4_294_967_295, dimensions: ['address'] } },
      key: ['10.0.0.1'],
    });
  });

  it('may ask for metrics, which is noted and has no effect', () => {
    expect(parsed.notes).toEqual(['20: `detailed_metric` has no effect', '21: `value_to_metric` has no effect']);
  });

  const one = (descriptor: string): string => `domain: d\ndescriptors:\n  - ${descriptor}\n`;

  it.each([
    ['no text at all', '', '1: here stands no mapping'],
    ['no YAML', 'domain: [', '1: '],
    ['two documents', 'domain: a\n---\ndomain: b\n', '2: '],
    ['no domain', 'descriptors: []', '1: `domain` is missing'],
    ['an unknown key', 'domain: d\ndescriptors: []\nlimits: 1\n', '3: the key `limits` is not supported here'],
    ['a key given twice', 'domain: d\ndomain: e\n', '2: '],
    ['descriptors that are no list', 'domain: d\ndescriptors: {}\n', '2: `descriptors` is no list'],
    ['a descriptor that is a text', one('k'), '3: here stands no mapping'],
    ['a descriptor without key', one('value: v'), '3: a descriptor without `key`'],
    ['a merged mapping', one('<<: {key: k}'), '3: the key `<<` is not supported here'],
    ['quota_mode', one('key: k\n    quota_mode: true'), '4: the key `quota_mode` is not supported here'],
    ['a wildcard in a key', one('key: k*'), '3: the key `k*` ends in `*`'],
    ['a shared value that is no prefix', one('{key: k, value: v, share_threshold: true}'), '3: `share_threshold`'],
    ['a value that is a list', one('{key: k, value: [v]}'), '3: `value` is no text'],
    ['a flag that is a text', one('{key: k, shadow_mode: maybe}'), '3: `shadow_mode` is no boolean'],
    ['an unknown unit', one('{key: k, rate_limit: {unit: fortnight, requests_per_unit: 1}}'), '3: `unit` is none of'],
    ['no unit', one('{key: k, rate_limit: {requests_per_unit: 1}}'), '3: `unit` is none of'],
    ['no number', one('{key: k, rate_limit: {unit: day}}'), '3: `requests_per_unit` is missing'],
    ['a negative number', one('{key: k, rate_limit: {unit: day, requests_per_unit: -1}}'), '3: `requests_per_unit`'],
    ['a part of a number', one('{key: k, rate_limit: {unit: day, requests_per_unit: 0.5}}'), '3: `requests_per_unit`'],
    ['too high a number', one('{key: k, rate_limit: {unit: day, requests_per_unit: 4294967296}}'), '3: `requests_per'],
    ['a unit of no limit', one('{key: k, rate_limit: {unit: day, unlimited: true}}'), '3: `unit` does not go with'],
    ['an unknown key of a limit', one('{key: k, rate_limit: {unit: day, burst: 2}}'), '3: the key `burst`'],
    [
      'a limit that replaces itself',
      one('{key: k, rate_limit: {unit: day, requests_per_unit: 1, name: n, replaces: [{name: n}]}}'),
      '3: `n` replaces itself',
    ],
    [
      'a replaced limit without a name',
      one('{key: k, rate_limit: {unit: day, requests_per_unit: 1, replaces: [{}]}}'),
      '3: an entry of `replaces` without `name`',
    ],
    ['the same descriptor twice', `${one('key: k')}  - key: k\n`, '4: `k` stands here twice'],
  ])('is refused with %s', (_what, text, fault) => {
    expect(read(text).faults.join('\n')).toContain(fault);
  });

  it('that contains itself is refused', () => {
    const text = 'domain: d\ndescriptors: &all\n  - key: k\n    descriptors: *all\n';
    expect(read(text).faults.join('\n')).toContain('levels deep');
  });
});

describe('a limits file of aliases of aliases', () => {
  const levels = (width: number, toKey: (at: number) => string): string => {
    const lists = Array.from({ length: 8 }, (_, level) => {
      const below = level === 0 ? [] : Array.from({ length: width }, (_each, at) => `*l${level - 1}x${at}`);
      const items = Array.from(
        { length: width },
        (_each, at) => `    - &l${level}x${at} {key: ${toKey(at)}, descriptors: [${below.join(', ')}]}`,
      );
      return `  - key: level${level}\n    descriptors:\n${items.join('\n')}`;
    });
    return `domain: d\ndescriptors:\n${lists.join('\n')}\n`;
  };

  it.each([
    ['all alike', levels(9, () => 'k')],
    ['each another', levels(9, (at) => `k${at}`)],
  ])('is not followed to its end where they are %s', (_what, text) => {
    const { file, faults } = read(text);
    expect(file).toBeUndefined();
    expect(faults.length).toBeLessThanOrEqual(100);
    expect(faults.at(-1)).toMatch(/^\d+: more than 10000 aliases/);
  });

  it('tells the first hundred faults', () => {
    const text = `domain: d\ndescriptors:\n${'  - key: k\n'.repeat(5000)}`;
    const { file, faults } = read(text);
    expect([file, faults.length, faults[0]]).toEqual([undefined, 100, '4: `k` stands here twice']);
    expect(read('a: [}\n'.repeat(5000)).faults.length).toBeLessThanOrEqual(100);
  });

  it('means the last anchor of a name before it', () => {
    const limit = (most: number): string => `{unit: day, requests_per_unit: ${most}}`;
    const parsed = read(
      `domain: d\ndescriptors:\n  - {key: a, rate_limit: &x ${limit(1)}}\n  - {key: b, rate_limit: *x}\n` +
        `  - {key: c, rate_limit: &x ${limit(2)}}\n  - {key: d, rate_limit: *x}\n`,
    );
    const sizes = ['a', 'b', 'c', 'd'].map((key) => ruleOf(parsed, key, 'v')?.rule);
    expect(sizes).toMatchObject([1, 1, 2, 2].map((requestsPerUnit) => ({ current: { requestsPerUnit } })));
    expect(read('domain: d\ndescriptors: *none\n').faults).not.toEqual([]);
  });
});

describe('limits files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-limits-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it('have a domain each', () => {
    const one = write('one.yaml', 'domain: one\ndescriptors: []\n');
    const two = write('two.yaml', 'domain: two\ndescriptors: []\n');
    const { table, faults } = loadRateLimitFiles([one, two]);
    expect([[...table.domains.keys()], faults]).toEqual([['one', 'two'], []]);
    expect(checkRateLimitFiles('doors.ratelimit.limits_files', [one, one])).toEqual([
      { path: 'doors.ratelimit.limits_files[1]', message: `\`${one}\`, line 1: the domain \`one\` has a file already` },
    ]);
  });

  it('that cannot be read or served are named with their line', () => {
    const bad = write('bad.yaml', 'domain: d\ndescriptors:\n  - keys: k\n');
    expect(checkRateLimitFiles('files', [join(folder, 'none.yaml'), bad])).toEqual([
      { path: 'files[0]', message: `\`${join(folder, 'none.yaml')}\` cannot be read` },
      { path: 'files[1]', message: `\`${bad}\`, line 3: the key \`keys\` is not supported here` },
      { path: 'files[1]', message: `\`${bad}\`, line 3: a descriptor without \`key\`` },
    ]);
  });
});
