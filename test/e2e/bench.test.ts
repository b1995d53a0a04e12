import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROW_NAMES } from '../bench/rows.ts';
import { describeWith } from '../support/describe-with.ts';
import { startProgram } from '../support/programs.ts';
import { ROOT } from '../support/tools.ts';

describeWith(['opa'], 'the benchmark', () => {
  test('measures every row, each answer checked, and writes rows and ratios as JSON', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-test-'));
    try {
      const file = join(folder, 'bench.json');
      const args = [join(ROOT, 'test/bench/main.ts'), '--rounds', '1', '--scale', '0.05', '--json', file];
      const program = startProgram(process.execPath, args);
      expect(await program.ended, program.output()).toBe(0);
      const report: unknown = JSON.parse(readFileSync(file, 'utf8'));
      const figure = expect.any(Number);
      const figures = { cpu_us: figure, p50_ms: figure, p99_ms: figure, per_second: figure };
      expect(report).toEqual({
        rows: ROW_NAMES.map((name) => ({ name, ...figures })),
        ratios: {
          check_warm_vs_grpc_js_echo: figure,
          check_warm_vs_http2_echo: figure,
          opa_server_vs_check_warm: figure,
        },
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
