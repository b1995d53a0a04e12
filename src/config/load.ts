import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Config } from './config.ts';
import { configSchema } from './config.ts';
import { crossFaults } from './cross-faults.ts';
import { ConfigError, type ConfigFault } from './fault.ts';
import { resolvePaths } from './paths.ts';
import { pathText, schemaFault, textPath } from './schema-faults.ts';
import { parseYamlFile, type YamlFile } from './yaml-file.ts';

type Environment = { readonly [name: string]: string | undefined };

/**
 * Reads and validates a config file. Throws a {@link ConfigError} with every fault at once, each with its key and
 * line; opens no bundle. Paths in the file are relative to the file's folder.
 */
export function loadConfig(file: string, environment: Environment): Config {
  return parseConfig(file, readText(file), environment);
}

/** The same over text that was read already. */
export function parseConfig(file: string, text: string, environment: Environment): Config {
  const yaml = parseYamlFile(text, environment);
  if (yaml.faults.length > 0) throw new ConfigError(file, yaml.faults);
  const value: unknown = yaml.value ?? {};
  const schemaFaults = validate(value, yaml);
  if (schemaFaults.length > 0) throw new ConfigError(file, schemaFaults);
  // The schema held: the value has the shape of its type.
  const config = resolvePaths(value as Config, dirname(file));
  const faults = crossFaults(config, environment).map((fault) => located(fault, yaml));
  if (faults.length > 0) throw new ConfigError(file, faults);
  return config;
}

const ajv = new Ajv2020({ allErrors: true, useDefaults: true, verbose: true, strict: true, allowUnionTypes: true });
const validateSchema = ajv.compile(configSchema);

function validate(value: unknown, yaml: YamlFile): readonly ConfigFault[] {
  if (validateSchema(value)) return [];
  const faults = (validateSchema.errors ?? []).flatMap((error) => {
    const fault = schemaFault(error);
    return fault === undefined
      ? []
      : [withLine({ path: pathText(fault.path), message: fault.message }, fault.path, yaml)];
  });
  const seen = new Set<string>();
  return faults.filter(({ path, message }) => {
    const key = `${path}: ${message}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

function located(fault: ConfigFault, yaml: YamlFile): ConfigFault {
  return fault.line === undefined ? withLine(fault, textPath(fault.path), yaml) : fault;
}

function withLine(fault: ConfigFault, path: readonly (string | number)[], yaml: YamlFile): ConfigFault {
  const line = yaml.lineOf(path);
  return line === undefined ? fault : { ...fault, line };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ConfigError(file, [{ path: '', message: `cannot be read: ${message}` }]);
  }
}
