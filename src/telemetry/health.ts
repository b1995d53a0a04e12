/** Whether the process lives and whether it may be asked. Live and ready are different: a draining process lives. */
export interface Health {
  /** Adds a named thing that must be ready first; it is not until it says so. */
  source(name: string): ReadinessSource;
  ready(): Readiness;
  live(): boolean;
  /** From here on not ready, for good. */
  drain(): void;
  /** Says that only a restart helps: neither live nor ready, for good. */
  fail(reason: string): void;
  /** Called after each change of `ready().ready`, never with the same value twice. Returns the way to stop it. */
  onChange(listener: (ready: boolean) => void): () => void;
}

export interface ReadinessSource {
  set(ready: boolean, reasons?: readonly string[]): void;
}

export interface Readiness {
  readonly ready: boolean;
  /** `<source>: <reason>`; empty when ready. For operators: names no caller and no secret. */
  readonly reasons: readonly string[];
}

/** Starts not ready: without a single source there is nothing that could vouch for the service. */
export function createHealth(): Health {
  const sources = new Map<string, Readiness>();
  const listeners = new Set<(ready: boolean) => void>();
  let draining = false;
  let failure: string | undefined;
  let announced = false;

  const ready = (): Readiness => {
    const reasons: string[] = [];
    if (failure !== undefined) reasons.push(`failed: ${failure}`);
    if (draining) reasons.push('draining');
    if (sources.size === 0) reasons.push('starting');
    for (const [name, source] of sources) {
      if (source.ready) continue;
      for (const reason of source.reasons) reasons.push(`${name}: ${reason}`);
    }
    return { ready: reasons.length === 0, reasons };
  };
  const announce = (): void => {
    const now = ready().ready;
    if (now === announced) return;
    announced = now;
    for (const listener of listeners) listener(now);
  };

  return {
    source: (name) => {
      if (sources.has(name)) throw new Error(`the readiness source \`${name}\` exists already`);
      sources.set(name, { ready: false, reasons: ['starting'] });
      announce();
      return {
        set: (isReady, reasons = []) => {
          sources.set(name, { ready: isReady, reasons: isReady || reasons.length > 0 ? reasons : ['not ready'] });
          announce();
        },
      };
    },
    ready,
    live: () => failure === undefined,
    drain: () => {
      draining = true;
      announce();
    },
    fail: (reason) => {
      failure ??= reason;
      announce();
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
