import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type BundleServerConfig, checkBundleServerConfig } from '../bundle-server/config.ts';
import { bundleServerConfigSchema } from '../bundle-server/config-schema.ts';
import { ConfigError, type ConfigFault } from '../config/fault.ts';
import { pathText, schemaFault, textPath } from '../config/schema-faults.ts';
import { parseYamlFile, type YamlFile } from '../config/yaml-file.ts';

type Environment = { readonly [name: string]: string | undefined };

/**
 * Reads and validates `bundle-server.yaml`; its paths are relative to its folder. Throws a {@link ConfigError} with every
 * fault at once, each with its key and line.
 */
export function loadBundleServerConfig(file: string, environment: Environment): BundleServerConfig {
  const yaml = parseYamlFile(readText(file), environment);
  if (yaml.faults.length > 0) throw new ConfigError(file, yaml.faults);
  const value: unknown = yaml.value ?? {};
  const faults = schemaFaults(value, yaml);
  if (faults.length > 0) throw new ConfigError(file, faults);
  // The schema held: the value has the shape of its type.
  const config = withAbsolutePaths(value as BundleServerConfig, dirname(file));
  const others = checkBundleServerConfig(config).map((fault) => withLine(fault, textPath(fault.path), yaml));
  if (others.length > 0) throw new ConfigError(file, others);
  return config;
}

function schemaFaults(value: unknown, yaml: YamlFile): readonly ConfigFault[] {
  const ajv = new Ajv2020({ allErrors: true, useDefaults: true, verbose: true, strict: true });
  const validate = ajv.compile(bundleServerConfigSchema);
  if (validate(value)) return [];
  return (validate.errors ?? []).flatMap((error) => {
    const fault = schemaFault(error);
    if (fault === undefined) return [];
    return [withLine({ path: pathText(fault.path), message: fault.message }, fault.path, yaml)];
  });
}

function withLine(fault: ConfigFault, path: readonly (string | number)[], yaml: YamlFile): ConfigFault {
  const line = yaml.lineOf(path);
  return line === undefined ? fault : { ...fault, line };
}

function withAbsolutePaths(config: BundleServerConfig, folder: string): BundleServerConfig {
  const absolute = (path: string): string => resolve(folder, path);
  const { tls, storage, bundles, audit_log: auditLog } = config;
  return {
    ...config,
    audit_log: absolute(auditLog),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            cert: absolute(tls.cert),
            key: absolute(tls.key),
            ...(tls.client_ca === undefined ? {} : { client_ca: absolute(tls.client_ca) }),
          },
        }),
    storage: { ...storage, ...(storage.disk === undefined ? {} : { disk: { dir: absolute(storage.disk.dir) } }) },
    bundles: Object.fromEntries(
      Object.entries(bundles).map(([name, bundle]) => [
        name,
        {
          ...bundle,
          keys: Object.fromEntries(Object.entries(bundle.keys).map(([kid, path]) => [kid, absolute(path)])),
        },
      ]),
    ),
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ConfigError(file, [{ path: '', message: `cannot be read: ${message}` }]);
  }
}
