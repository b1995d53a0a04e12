import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { OPA_VERSION } from '../../src/bundle/opa-tool.ts';
import { ROOT } from '../support/tools.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sallyport-tools-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs the fetching of tools on a machine with an empty tools folder and nothing on PATH. */
function fetchWithNothing(
  argv: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; out: string }> {
  const options = {
    cwd: ROOT,
    env: { PATH: join(scratch, 'no-programs'), SALLYPORT_TOOLS_DIR: join(scratch, 'tools'), ...env },
  };
  return new Promise((resolve) => {
    execFile(process.execPath, ['tools/fetch.ts', ...argv], options, (error, out) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out });
    });
  });
}

describe('fetching the tools', () => {
  it('says what to install where this machine cannot have them, and goes on', async () => {
    const { code, out } = await fetchWithNothing([], {});
    expect(code).toBe(0);
    expect(out).toContain(`opa ${OPA_VERSION}: not to be had`);
    expect(out).toContain('install Go (https://go.dev/dl)');
    expect(out).toContain('install Python 3.9 or newer');
    expect(out).toContain(
      'going on without opa, envoy, valkey, ratelimit, versitygw, conformance: tests that need it are skipped',
    );
  });

  it('fails where CI is set', async () => {
    const { code, out } = await fetchWithNothing(['opa'], { CI: 'true' });
    expect(code).toBe(1);
    expect(out).toContain('missing under CI: opa');
    expect(out).not.toContain('envoy');
  });

  it('knows no other tools', async () => {
    expect(await fetchWithNothing(['terraform'], {})).toEqual({
      code: 2,
      out: 'no such tool: terraform; there are opa, envoy, valkey, wycheproof, ratelimit, versitygw, kafka, opensearch, conformance\n',
    });
  });
});
