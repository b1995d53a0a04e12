import type { StartTimer } from '../decision/ports.ts';
import type { WatchedBundle } from './activator.ts';
import { type BundlesConfig, DEFAULT_POLLING } from './config.ts';
import { createUrlSource } from './downloader.ts';
import { createFileSource } from './source.ts';

/** The bundles of a validated config (its file paths are absolute by then), each with its source. */
export function toWatchedBundles(
  config: BundlesConfig,
  { startTimer }: { readonly startTimer: StartTimer },
): ReadonlyMap<string, WatchedBundle> {
  return new Map(
    Object.entries(config).map(([name, { file, url, polling = DEFAULT_POLLING, trust }]) => {
      const source =
        url === undefined
          ? createFileSource({ path: file ?? '', maxBytes: polling.max_bytes })
          : createUrlSource({ url, timeoutMs: polling.timeout_ms, maxBytes: polling.max_bytes, startTimer });
      const minDelayMs = polling.min_delay_seconds * 1000;
      return [name, { source, trust, minDelayMs, maxDelayMs: polling.max_delay_seconds * 1000 }];
    }),
  );
}
