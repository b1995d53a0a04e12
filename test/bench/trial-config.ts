import { createExamine, type Examination } from '../../src/examine.ts';
import { startSystemTimer } from '../../src/telemetry/system-clock.ts';

/** What a set of bundles is loaded with, for one decision. */
export function trialConfig(decision: string, limits?: string): Examination['config'] {
  return {
    network: { trusted_hops: 0 },
    compatibility: {
      ambiguous_paths: false,
      duplicate_keys: false,
      header_map_bodies: true,
      expose_credentials: false,
    },
    policy: {
      engine: 'js',
      budget_ms: 5,
      tenant_share: 0.25,
      memory_max_mb: 1_024,
      redirects: false,
      decisions: { default: { decision, ...(limits === undefined ? {} : { limits }), result: 'sallyport' } },
    },
  };
}

/** The service's own trial of a set, in a thread of its own; `loadMs` is told what loading it there took. */
export function examineWith(
  config: Examination['config'],
  loadMs: (ms: number) => void = () => {},
): ReturnType<typeof createExamine> {
  return createExamine({
    config,
    timeoutMs: 60_000,
    memoryMb: 1_024,
    startTimer: startSystemTimer,
    logger: { info: (fields: object) => loadMs('loadMs' in fields ? Number(fields.loadMs) : Number.NaN) },
  });
}
