import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { checkDecisionLogConfig, decisionLogConfigSchema } from '../../../src/decision-log/config.ts';
import { logConfig } from '../../support/events.ts';

const ajv = new Ajv2020({ useDefaults: true, strict: true, allowUnionTypes: true });
const validateAll = ajv.compile({ type: 'object', properties: { decision_log: decisionLogConfigSchema } });
const validate = (section: object): boolean => validateAll({ decision_log: section });

test('an empty section means stdout and the safe lists', () => {
  const config = {};
  expect(validate(config)).toBe(true);
  expect(config).toEqual(logConfig({ aggregate: { above_per_second: 500 } }));
  expect(checkDecisionLogConfig(logConfig())).toEqual([]);
});

test.each([
  ['a sink of no kind', { sinks: [{}] }],
  ['a sink of two kinds', { sinks: [{ stdout: {}, file: { path: '/a' } }] }],
  ['a file without a path', { sinks: [{ file: {} }] }],
  ['an unknown sink', { sinks: [{ kafka: {} }] }],
  ['a queue for nothing', { queue: { max_events: 0 } }],
  ['an unknown key', { console: true }],
  ['a mask that does something else', { masks: [{ path: '/input/route', op: 'hash' }] }],
])('the schema refuses %s', (_, config) => {
  expect(validate(config)).toBe(false);
});

test.each([
  [
    'a body',
    { input: ['parsed_body'] },
    'decision_log.input[0]',
    '`parsed_body` is never logged: name a member of request, route, identity, peer, network, inference, quota',
  ],
  [
    'claims',
    { input: ['request', 'identity.claims.email'] },
    'decision_log.input[1]',
    '`identity.claims.email` is never logged: `identity` has kind, subject, issuer, tenant, tier, roles, scopes, key_id, models',
  ],
  ['a result whole', { result: ['*'] }, 'decision_log.result[0]', 'a result is never logged whole: name its members'],
  ['a denial’s body', { result: ['body'] }, 'decision_log.result[0]', 'a body is never logged: remove `body`'],
  [
    'a sink twice',
    { sinks: [{ stdout: {} }, { stdout: {} }] },
    'decision_log.sinks[1]',
    'the sink `stdout` is named twice: remove one',
  ],
  [
    'a mask outside',
    { masks: [{ path: '/labels/a', op: 'erase' as const }] },
    'decision_log.masks[0]',
    '`/labels/a` is not below `/input` or `/result`',
  ],
  [
    'a replacement by nothing',
    { masks: [{ path: '/input/route', op: 'replace' as const }] },
    'decision_log.masks[0]',
    '`replace` needs a `value`',
  ],
  [
    'an erasure with a value',
    { masks: [{ path: '/input/route', op: 'erase' as const, value: 1 }] },
    'decision_log.masks[0]',
    '`value` goes with `op: replace` only',
  ],
])('names the fault: %s', (_, parts, path, message) => {
  expect(checkDecisionLogConfig(logConfig(parts))).toEqual([{ path, message }]);
});

test('names the folder of a file that is missing, and a folder in place of a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
  try {
    const file = (path: string) => checkDecisionLogConfig(logConfig({ sinks: [{ file: { path } }] }));
    expect(file(join(folder, 'events.jsonl'))).toEqual([]);
    expect(file(join(folder, 'none', 'events.jsonl'))).toEqual([
      {
        path: 'decision_log.sinks[0].file.path',
        message: `the folder of \`${join(folder, 'none', 'events.jsonl')}\` is missing: create it`,
      },
    ]);
    expect(file(folder)[0]?.message).toBe(`\`${folder}\` is a folder: name a file`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('spool, rotation and modes have defaults; a segment is small beside the spool', () => {
  const config = { spool: { dir: '/var/spool' }, sinks: [{ file: { path: '/tmp/events.jsonl', rotate: {} } }] };
  expect(validate(config)).toBe(true);
  expect(config).toMatchObject({
    when_full: 'drop',
    block_ms: 100,
    aggregate: { above_per_second: 500 },
    spool: { dir: '/var/spool', max_mb: 1024, segment_mb: 8, fsync_ms: 1000 },
    sinks: [{ file: { rotate: { max_mb: 100, keep: 10 } } }],
  });
  expect(validate({ when_full: 'wait' })).toBe(false);
  expect(validate({ spool: {} })).toBe(false);
  const spool = { dir: '/var/spool', max_mb: 8, segment_mb: 4, fsync_ms: 0 };
  expect(checkDecisionLogConfig(logConfig({ spool }))).toMatchObject([{ path: 'decision_log.spool.segment_mb' }]);
});
