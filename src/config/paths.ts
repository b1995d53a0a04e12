import { resolve } from 'node:path';
import type { Config } from './config.ts';

/** Where a config names files; `*` stands for every key or index. */
const PATHS: readonly (readonly string[])[] = [
  ['doors', '*', 'tls', 'cert'],
  ['doors', '*', 'tls', 'key'],
  ['doors', '*', 'tls', 'client_ca'],
  ['doors', 'ratelimit', 'limits_files', '*'],
  ['bundles', '*', 'file'],
  ['bundles', '*', 'candidate', 'file'],
  ['bundles', '*', 'trust', 'keys', '*'],
  ['bundles', '*', 'credentials', 'bearer_token_file'],
  ['bundles', '*', 'tls', '*'],
  ['bundles', '*', 's3', 'secret_access_key_file'],
  ['bundles', '*', 'compile', 'opa'],
  ['bundles', '*', 'compile', 'capabilities'],
  ['agent', 'data_dir'],
  ['agent', 'status', 'credentials', 'bearer_token_file'],
  ['agent', 'status', 'tls', '*'],
  ['rollout', 'data_dir'],
  ['identity', 'jwt', 'issuers', '*', 'jwks', 'file'],
  ['identity', 'api_keys', 'file'],
  ['identity', 'token_exchange', 'signing_key_file'],
  ['identity', 'token_exchange', 'previous_key_files', '*'],
  ['decision_log', 'sinks', '*', 'file', 'path'],
  ['decision_log', 'sinks', '*', '*', 'tls', '*'],
  ['decision_log', 'sinks', '*', '*', 'credentials', 'bearer_token_file'],
  ['decision_log', 'sinks', '*', '*', 'credentials', 'basic', 'password_file'],
  ['decision_log', 'sinks', '*', '*', 'credentials', 'api_key', 'value_file'],
  ['decision_log', 'sinks', '*', 'kafka', 'sasl', 'password_file'],
  ['decision_log', 'spool', 'dir'],
  ['quota', 'data_dir'],
  ['quota', 'store', 'tls', 'ca'],
  ['quota', 'store', 'tls', 'cert'],
  ['quota', 'store', 'tls', 'key'],
];

/** The config with every file path made absolute, relative ones against the folder of the config file. */
export function resolvePaths(config: Config, folder: string): Config {
  // structuredClone keeps the shape, so the type holds.
  const copy = structuredClone(config);
  for (const path of PATHS) resolveAt(copy, path, folder);
  return copy;
}

function resolveAt(value: unknown, [step, ...rest]: readonly string[], folder: string): void {
  if (typeof value !== 'object' || value === null || step === undefined) return;
  const record = value as { [key: string]: unknown };
  for (const key of step === '*' ? Object.keys(record) : [step]) {
    const member = Object.hasOwn(record, key) ? record[key] : undefined;
    if (rest.length > 0) resolveAt(member, rest, folder);
    else if (typeof member === 'string') record[key] = resolve(folder, member);
  }
}
