import { basename, resolve } from 'node:path';
import { buildBundle } from '../../bundle/builder.ts';
import { type Bundle, requireEntrypoints } from '../../bundle/bundle.ts';
import type { BundleDefinition } from '../../bundle/definition.ts';
import type { Config } from '../../config/config.ts';
import { packedCases } from '../case-files.ts';

export interface BuildTools {
  /** Path of an opa. */
  readonly opa: string;
  /** What the paths of the definition are relative to. */
  readonly cwd: string;
}

/** The bundle that `sallyport build` would make of a definition, named as the definition's file. */
export async function buildInMemory(file: string, definition: BundleDefinition, tools: BuildTools): Promise<Bundle> {
  const { opa, cwd } = tools;
  const { bundle } = await buildBundle({
    opa,
    from: resolve(cwd, definition.source),
    entrypoints: definition.entrypoints,
    capabilities: resolve(cwd, definition.capabilities),
    ignore: definition.ignore,
    v0Compatible: false,
    cases: await packedCases(definition, cwd),
  });
  return { ...bundle, name: basename(file, '.json') };
}

/** Demands what the default decision of a config asks. */
export function requireDefault(bundle: Bundle, { policy }: Config): void {
  const { decision, limits } = policy.decisions['default'] ?? {};
  requireEntrypoints(
    [bundle],
    [decision, limits].filter((entrypoint) => entrypoint !== undefined),
  );
}
