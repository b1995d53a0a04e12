import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** Several files are often written at once. */
const QUIET_MS = 150;

export interface Watched {
  /** Files and folders, absolute; folders with all that is in them. */
  readonly paths: readonly string[];
  /** Files that the runs themselves write. */
  readonly except: ReadonlySet<string>;
}

/** Tells of changes to what can be tested. */
export interface Watch {
  /** Resolves once something has changed since the last call, and nothing for a moment; `false` when `signal` ended it. */
  next(signal: AbortSignal | undefined): Promise<boolean>;
  close(): void;
}

/** Watches from now on, so that no change during a run is missed. */
export function watchPaths({ paths, except }: Watched): Watch {
  let changed = false;
  let wake: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const noted = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      changed = true;
      wake?.();
    }, QUIET_MS);
  };
  const watchers = paths.map((path): FSWatcher => {
    const isFolder = statSync(path).isDirectory();
    // Editors put another file in the place of one that is saved, which a watch of the file itself would not outlive.
    const folder = isFolder ? path : dirname(path);
    const watcher = watch(folder, { recursive: isFolder }, (_event, name) => {
      const concerns = (file: string): boolean =>
        isFolder ? TESTABLE.test(file) && !except.has(resolve(folder, file)) : file === basename(path);
      if (name === null || concerns(name)) noted();
    });
    // A folder that goes away changes what can be tested.
    watcher.on('error', noted);
    return watcher;
  });
  return {
    next: async (signal) => {
      await new Promise<void>((woken) => {
        wake = woken;
        signal?.addEventListener('abort', () => woken(), { once: true });
        if (changed || signal?.aborted === true) woken();
      });
      changed = false;
      return signal?.aborted !== true;
    },
    close: () => {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

const TESTABLE = /\.(?:rego|json|ya?ml)$|(?:^|\/)\.manifest$/;
