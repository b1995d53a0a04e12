import type { StartTimer } from '../decision/ports.ts';

/** Requests that wait for something new, so many and no more. */
export interface Waiters {
  /** `changed`: look again. `over`: the time is, the client left, or the server ends. `full`: nobody more may wait. */
  wait(topic: string, forMs: number, signal: AbortSignal): Promise<'changed' | 'over' | 'full'>;
  /** Ends the waiting of everybody who waits on the topic. */
  wake(topic: string): void;
  count(): number;
  /** From now on nobody waits. */
  close(): void;
}

export interface WaitersPorts {
  readonly max: number;
  readonly startTimer: StartTimer;
}

export function createWaiters({ max, startTimer }: WaitersPorts): Waiters {
  type End = (how: 'changed' | 'over') => void;
  const waiting = new Map<string, Set<End>>();
  let count = 0;
  let isClosed = false;

  return {
    count: () => count,
    wait: (topic, forMs, signal) => {
      if (isClosed || signal.aborted || forMs <= 0) return Promise.resolve('over');
      if (count >= max) return Promise.resolve('full');
      return new Promise((resolve) => {
        const others = waiting.get(topic) ?? new Set();
        waiting.set(topic, others);
        count += 1;
        const leave = (): void => end('over');
        const end: End = (how) => {
          if (!others.delete(end)) return;
          count -= 1;
          cancel();
          signal.removeEventListener('abort', leave);
          resolve(how);
        };
        others.add(end);
        signal.addEventListener('abort', leave);
        const cancel = startTimer(forMs, leave);
      });
    },
    wake: (topic) => {
      for (const end of [...(waiting.get(topic) ?? [])]) end('changed');
    },
    close: () => {
      isClosed = true;
      for (const ends of waiting.values()) for (const end of [...ends]) end('over');
    },
  };
}
