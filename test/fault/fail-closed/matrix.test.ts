import { afterAll, describe, expect, test } from 'vitest';
import { describeWith } from '../../support/describe-with.ts';
import { bundleTrials } from './bundle-source.ts';
import { clockTrials } from './clock.ts';
import { configTrials } from './config.ts';
import { dataDirTrials } from './data-dir.ts';
import { diskTrials } from './disk.ts';
import { loopTrials } from './event-loop.ts';
import { jwksTrials } from './jwks.ts';
import { logTrials } from './log-sink.ts';
import { DEPENDENCIES, type Dependency, FAULTS, MATRIX, type Trials } from './matrix.ts';
import { memoryTrials } from './memory-store.ts';
import { policyTrials } from './policy-engine.ts';
import { allowTrials, localShareTrials, moneyTrials, neverSeenTrials, quotaTrials } from './quota-store.ts';

/** SECURITY row 3: each cell of the matrix is a test, and the matrix says what it wants. */
const TRIALS: Readonly<Record<Dependency, Trials>> = {
  JWKS: jwksTrials,
  'quota store': quotaTrials,
  'quota store, local_share': localShareTrials,
  'quota store, allow': allowTrials,
  'quota store, money that says allow': moneyTrials,
  'quota store, never seen': neverSeenTrials,
  'quota store in memory': memoryTrials,
  data_dir: dataDirTrials,
  'bundle source': bundleTrials,
  disk: diskTrials,
  clock: clockTrials,
  'policy engine': policyTrials,
  config: configTrials,
  'log sink': logTrials,
  'event loop': loopTrials,
};

interface Judged {
  readonly dependency: string;
  readonly fault: string;
  readonly wanted: string;
  readonly seen: string;
}

describeWith(['opa', 'envoy'], 'every dependency fails closed in every way', () => {
  const judged: Judged[] = [];
  let started = 0;

  describe.each(DEPENDENCIES)('%s', (dependency) => {
    const { healthy, faults } = TRIALS[dependency];

    test('the same attempt passes while nothing is wrong', async () => {
      expect(await healthy()).toBe('allow');
    });

    for (const fault of FAULTS) {
      const cell = MATRIX[dependency][fault];
      if (typeof cell !== 'string') {
        test(`${fault}: not applicable, ${cell.notApplicable}`, () => {
          expect(faults[fault]).toBeUndefined();
        });
        continue;
      }
      test(`${fault}: ${cell}`, async () => {
        started += 1;
        const trial = faults[fault];
        const seen = trial === undefined ? 'no trial' : await trial();
        judged.push({ dependency, fault, wanted: cell, seen });
        expect(seen).toBe(cell);
      });
    }
  });

  test('at least 64 cells are judged', () => {
    const cells = DEPENDENCIES.flatMap((dependency) => Object.values(MATRIX[dependency]));
    expect(cells.filter((cell) => typeof cell === 'string').length).toBeGreaterThanOrEqual(64);
  });

  afterAll(() => {
    const deviations = started - judged.filter(({ wanted, seen }) => wanted === seen).length;
    const widths = [36, 14];
    const lines = judged.map(({ dependency, fault, wanted, seen }) =>
      [
        dependency.padEnd(widths[0] ?? 0),
        fault.padEnd(widths[1] ?? 0),
        wanted === seen ? seen : `${seen} (wanted: ${wanted})`,
      ].join(''),
    );
    console.info(`fail-closed matrix: ${judged.length} cells judged, ${deviations} deviations\n${lines.join('\n')}`);
  });
});
