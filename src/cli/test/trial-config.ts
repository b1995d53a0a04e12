import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import { loadConfig, parseConfig } from '../../config/load.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';

/**
 * The config whose decisions, network and decision log cases are decided by: the one that is named, else the folder's
 * sallyport.yaml, else one in which the default decision is the first of the entrypoints.
 */
export function trialConfig(file: string | undefined, entrypoints: readonly string[], io: Io): Config {
  const path = resolve(io.cwd, file ?? 'sallyport.yaml');
  if (file !== undefined || existsSync(path)) return loadConfig(path, io.env);
  const [decision] = entrypoints;
  if (decision === undefined) throw new UsageError('the definition has no entrypoint, and there is no `--config`');
  const limits = `${decision.slice(0, decision.lastIndexOf('/'))}/limits`;
  const named = { decision, result: 'sallyport', ...(entrypoints.includes(limits) ? { limits } : {}) };
  // JSON is YAML. Nothing listens, and no bundle is opened: both are there because a service must have them.
  const text = JSON.stringify({
    doors: { ext_authz_http: { listen: '127.0.0.1:0' } },
    bundles: { authz: { file: 'authz.tar.gz', trust: { sha256: '0'.repeat(64) } } },
    policy: { decisions: { default: named } },
  });
  return parseConfig(path, text, {});
}
