import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toRouteTable } from '../../../src/cli/replay/route-table.ts';
import type { Answer } from '../../../src/replay/answer.ts';
import { readLogLines } from '../../../src/replay/log-lines.ts';
import { replayLog } from '../../../src/replay/replay-log.ts';
import type { Replay, ReplayBundle } from '../../../src/replay/replayer.ts';
import { generation } from '../../support/core.ts';
import { lineOf } from './recorded-lines.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-log-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ALLOW: Answer = { kind: 'allow', reasons: [], upstream: null, charged: [] };
const DENY: Answer = { ...ALLOW, kind: 'deny', code: 'policy_denied', status: 403, reasons: ['tier'] };

describe('reading a log', () => {
  test('takes lines across pieces, and the last one without its end', async () => {
    const long = 'x'.repeat(200_000);
    expect(await linesOf(`a\n\n${long}\r\nü\nlast`)).toEqual(['a', `${long}\r`, 'ü', 'last']);
  });

  test('skips a line that no event is as long as', async () => {
    expect(await linesOf(`a\n${'x'.repeat(2_000_000)}\nb\n`)).toEqual(['a', 'unreadable', 'b']);
  });

  test('of a compressed log that breaks off keeps what comes before', async () => {
    const whole = gzipSync(Array.from({ length: 50_000 }, (_, index) => `${Math.sin(index)}\n`).join(''));
    const found = await linesOf(whole.subarray(0, whole.length / 2), 'broken.log.gz');
    expect(found.length).toBeGreaterThan(1_000);
    expect(found.indexOf('unreadable')).toBeGreaterThanOrEqual(found.length - 2);
    expect(await linesOf(Buffer.from('no archive'), 'other.log.gz')).toEqual(['unreadable']);
  });

  test('throws where there is no such file', async () => {
    for (const name of ['none.log', 'none.log.gz']) {
      await expect(drain(join(folder, name))).rejects.toThrow('ENOENT');
    }
  });
});

describe('the impact on a log', () => {
  test('sums up changes by tenant, route and reason, with examples', async () => {
    const lines = Array.from({ length: 7 }, (_, index) => lineOf({ sequence: index, decision_id: `d${index}` }));
    const impact = await impactOf(lines, async ({ decisionId }) => ({
      kind: 'answered',
      answer: decisionId < 'd5' ? DENY : ALLOW,
    }));
    expect(impact).toMatchObject({
      decisions: 7,
      replayable: 7,
      equal: 2,
      changed: 5,
      by_change: { allow_to_deny: 5 },
    });
    expect(impact.changes).toEqual([
      {
        ...{ change: 'allow_to_deny', tenant: 'tenant-a', route: 'infer' },
        ...{ from: 'allow', to: 'deny 403 policy_denied (tier)', count: 5, examples: ['d0', 'd1', 'd2'] },
      },
    ]);
  });

  test('counts every kind of line, groups by revision, and reads nothing twice', async () => {
    const numbered = '"sequence":90,"instance_id":"i"';
    const lines = [
      lineOf({ sequence: 1 }),
      lineOf({ sequence: 1 }),
      lineOf({ sequence: 2, bundles: { authz: { revision: 'r2' } } }),
      `{"type":"aggregate",${numbered},"count":7}`,
      '{"type":"administrative","sequence":91,"instance_id":"i"}',
      '{"decision_id":"d","sequence":92,"instance_id":"i","decision":"deny","dropped":true}',
      'text',
      lineOf().slice(0, 99),
    ];
    const impact = await impactOf(lines, async () => ({ kind: 'core' }));
    expect(impact.lines).toEqual({
      ...{ lines: 8, other: 1, damaged: 1, administrative: 1, stubs: 1 },
      ...{ aggregates: 1, aggregated: 7, duplicates: 1, filtered: 0 },
    });
    expect(impact.revisions.map(({ revisions, decisions }) => `${revisions}: ${decisions}`)).toEqual([
      'authz=r1: 1',
      'authz=r2: 1',
    ]);
    expect(impact).toMatchObject({ core: 2, equal: 2, changed: 0, replayable: 2 });
  });

  test('sums up what limits would be charged, where it differs', async () => {
    const taken = { name: 'rps', unit: 'requests', kind: 'rate', limit: 10, cost: 2 };
    const charges = { plan: 0, plans: [[taken]] };
    const lines = [1, 2, 3].map((sequence) => lineOf({ sequence, charges }));
    const impact = await impactOf(lines, async ({ sequence }) => ({
      kind: 'answered',
      answer: sequence === 1 ? DENY : { ...ALLOW, charged: [{ ...taken, cost: 5 }] },
    }));
    expect(impact.charges).toEqual([
      {
        ...{ limit: 'rps', tenant: 'tenant-a', unit: 'requests' },
        ...{ before: { requests: 3, cost: 6 }, after: { requests: 2, cost: 10 } },
      },
    ]);
  });

  test('counts an event at every path that it does not tell, and the changes of others beside it', async () => {
    const impact = await impactOf([lineOf()], async () => ({
      kind: 'unknown',
      ignorances: [
        { why: 'masked', path: 'identity.subject' },
        { why: 'never_logged', path: 'identity.claims' },
      ],
    }));
    expect(impact).toMatchObject({ decisions: 1, replayable: 0, equal: 0 });
    expect(impact.not_replayable.map(({ path, count }) => `${path} ${count}`)).toEqual([
      'identity.subject 1',
      'identity.claims 1',
    ]);
  });

  test('reasons alone are no change, and a filter leaves out others', async () => {
    const reasons: Replay = async () => ({ kind: 'answered', answer: { ...ALLOW, reasons: ['other'] } });
    expect(await impactOf([lineOf()], reasons)).toMatchObject({ equal: 1, changed: 0, other_reasons: 1 });
    expect(await impactOf([lineOf()], reasons, { tenant: 'tenant-b' })).toMatchObject({ decisions: 0 });
    expect(await impactOf([lineOf()], reasons, { route: 'infer' })).toMatchObject({ decisions: 1 });
  });

  test('the memory for groups does not grow with the log', async () => {
    const lines = Array.from({ length: 3_000 }, (_, index) =>
      lineOf({ sequence: index }, { identity: { kind: 'jwt', tenant: `tenant-${index}` } }),
    );
    const impact = await impactOf(lines, async () => ({ kind: 'answered', answer: DENY }));
    expect(impact.changes).toHaveLength(1001);
    expect(impact.changes[0]).toMatchObject({ tenant: '…', count: 2_000 });
  });
});

async function impactOf(lines: readonly string[], replay: Replay, only = {}): ReturnType<typeof replayLog> {
  const file = join(folder, 'events.log');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const bundle: ReplayBundle = { generation: generation({}), routes: toRouteTable(undefined) };
  return replayLog({ files: [file], replay, bundle, only, progress: () => undefined });
}

async function linesOf(content: string | Uint8Array, name = 'lines.log'): Promise<readonly string[]> {
  const file = join(folder, name);
  writeFileSync(file, content);
  expect(readFileSync(file).length).toBeGreaterThan(0);
  return drain(file);
}

async function drain(file: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of readLogLines(file)) lines.push(line.kind === 'line' ? line.text : line.kind);
  return lines;
}
