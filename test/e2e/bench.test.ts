import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ADDED, RATIOS } from '../bench/figures.ts';
import { ROW_NAMES } from '../bench/rows.ts';
import { describeWith } from '../support/describe-with.ts';
import { startProgram } from '../support/programs.ts';
import { ROOT } from '../support/tools.ts';

interface Measured {
  readonly name: string;
  readonly [figure: string]: unknown;
}

/** Rows of which the CPU says nothing. */
const TIMES_ONLY: ReadonlySet<string> = new Set(['activation_12_mb', 'data_swap_12_mb', 'activation_10000_rules']);

/** It takes a good minute on two quiet cores: `opa bench` alone a second of its own clock for each policy. */
const TIMEOUT_MS = 420_000;

describeWith(['opa', 'valkey', 'ratelimit'], 'the benchmark', () => {
  test(
    'measures every row, each answer checked, and writes rows and ratios as JSON',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-test-'));
      try {
        const file = join(folder, 'bench.json');
        const args = [join(ROOT, 'test/bench/main.ts'), '--rounds', '1', '--scale', '0.05', '--json', file];
        const program = startProgram(process.execPath, args);
        expect(await program.ended, program.output()).toBe(0);
        // Checked below.
        const report: unknown = JSON.parse(readFileSync(file, 'utf8'));
        const { rows, ratios } = report as { readonly rows: readonly Measured[]; readonly ratios: unknown };
        expect(rows.map(({ name }) => name)).toEqual([...ROW_NAMES, ...Object.keys(ADDED)]);
        const figure = expect.any(Number);
        for (const { name, ...figures } of rows) {
          expect(Object.values(figures).every(Number.isFinite), `${name}: ${JSON.stringify(figures)}`).toBe(true);
          if (!TIMES_ONLY.has(name)) expect(figures, name).toHaveProperty('cpu_us', figure);
        }
        for (const { name, ...figures } of rows.filter((row) => row.name.startsWith('policy_'))) {
          expect(figures, name).toMatchObject({
            opa_us: figure,
            opa_median_us: figure,
            wasm_us: figure,
            js_us: figure,
            js_engine_us: figure,
          });
        }
        expect(rows.find(({ name }) => name === 'data_swap_12_mb')).toMatchObject({
          blocked_ms: figure,
          load_ms: figure,
        });
        expect(rows.find(({ name }) => name === 'activation_10000_rules')).toMatchObject({
          activation_ms: figure,
          peak_rss_mb: figure,
        });
        expect(rows.find(({ name }) => name === 'redis_take')).toMatchObject({ round_trips: 1, redis_cpu_us: figure });
        expect(rows.find(({ name }) => name === 'activation_12_mb')).toMatchObject({
          blocked_ms: figure,
          p99_ms: figure,
        });
        expect(rows.find(({ name }) => name === 'long_poll_500_agents')).toMatchObject({
          half_ms: figure,
          last_ms: figure,
        });
        expect(rows.find(({ name }) => name === 'rollback_10_agents')).toMatchObject({ last_ms: figure });
        expect(ratios).toEqual(Object.fromEntries(Object.keys(RATIOS).map((name) => [name, figure])));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});
