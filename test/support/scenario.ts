import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { JsonObject } from '../../src/decision/json.ts';
import { buildCatalogBundle, type CatalogData } from './catalog-bundle.ts';
import type { PolicyBundle } from './policy-bundle.ts';
import { ROOT } from './tools.ts';

/** The files of a scenario's folder, as its README gives them to a user, with what a test must put in their place. */
export interface Scenario {
  text(file: string): string;
  /** The shipped policies over `catalog/data.json`; `change` is for what a test must set itself, such as times. */
  buildBundle(change?: (catalog: CatalogData) => void): Promise<PolicyBundle>;
  /** `sallyport.yaml` on free ports. Each key of `puts` is a text that must be in the file. */
  config(puts: Readonly<Record<string, string>>): Record<string, unknown>;
  /** `envoy.yaml` with time for tests that share few cores; ports that `ports` does not name become free ones. */
  bootstrap(ports: Readonly<Record<number, number>>, puts?: Readonly<Record<string, string>>): JsonObject;
}

export function openScenario(name: string): Scenario {
  const text = (file: string): string => readFileSync(join(ROOT, 'test/scenarios', name, file), 'utf8');
  return {
    text,
    buildBundle: (change) => {
      const data: Record<string, unknown> = JSON.parse(text('catalog/data.json'));
      return buildCatalogBundle((catalog) => {
        for (const section of Object.keys(catalog)) delete catalog[section];
        Object.assign(catalog, data);
        change?.(catalog);
      });
    },
    config: (puts) => {
      const free = text('sallyport.yaml').replaceAll(/listen: 127\.0\.0\.1:\d+/g, 'listen: 127.0.0.1:0');
      // The file is an object of objects.
      const config = parse(put(free, puts)) as Record<string, unknown>;
      return { ...config, operations: { ...(config['operations'] as object), drain_delay_ms: 0 } };
    },
    bootstrap: (ports, puts = {}) => {
      const own = put(text('envoy.yaml'), { ...puts, 'timeout: 0.25s': 'timeout: 2s' });
      // A bootstrap is an object.
      return parse(
        own.replaceAll(/port_value: (\d+)/g, (_, port) => `port_value: ${ports[Number(port)] ?? 0}`),
      ) as JsonObject;
    },
  };
}

/** What `bundles.NAME.trust.sha256` must be. */
export function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function put(text: string, puts: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [there, instead] of Object.entries(puts)) {
    if (!result.includes(there)) throw new Error(`the scenario's file does not say \`${there}\``);
    result = result.replaceAll(there, instead);
  }
  return result;
}
