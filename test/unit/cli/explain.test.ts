import { describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/main.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { faultsOf } from '../../support/generated-source-check.ts';

const explain = (...argv: readonly string[]) => runCaptured(exitCodeOf, ['explain', ...argv]);

describe('explain --source, on the shipped bundle', () => {
  test.each([[[]], [['--traced']]])('prints what is run, and what its names stand for: %j', async (flags) => {
    const { code, stdout, stderr } = await explain('--source', ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\/\/ f\d+ data\.tenancy\.within_own_tenant tenancy\/tenancy\.rego:26$/m);
    expect(stdout).toMatch(/^\/\/ constant\(\d+\) other_tenant$/m);
    expect(stdout).toMatch(/^\/\/ builtin\(\d+\) count$/m);
    const source = stdout.split('\n').filter((line) => !line.startsWith('//'));
    expect(faultsOf(source.join('\n').trimEnd())).toEqual([]);
  });

  test('of one entrypoint it prints what that can reach', async () => {
    const { stdout } = await explain('--source', 'authz/limits');
    expect(stdout).toMatch(/^\/\/ f\d+ data\.limits\.charges /m);
    expect(stdout).not.toContain('data.authz.decision');
    expect(stdout.length).toBeLessThan((await explain('--source')).stdout.length);
  });

  test.each([
    [[], 'say what to explain'],
    [['--source', 'authz/none'], 'no entrypoint `authz/none`, only authz/decision, authz/limits'],
    [['--source', '--bundle', 'missing.tar.gz'], 'cannot read the bundle `missing.tar.gz`'],
    [['--source', 'a/b', 'c/d'], 'one entrypoint'],
  ])('%j is a fault of use', async (argv, message) => {
    const { code, stdout, stderr } = await explain(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});
