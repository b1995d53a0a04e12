import type { StartTimer } from '../decision/ports.ts';
import { LANES, type Lane } from './lane.ts';

/** Answers that wait for room in the log, first come first served within their lane. */
export interface Waiters {
  /** `true` once there was room and `take` took it; `false` when the time is over. */
  wait(lane: Lane, ms: number, take: () => void): Promise<boolean>;
  /** Lets as many go on as there is room for. */
  wake(): void;
  /** Lets all go on without room. */
  end(): void;
}

export interface WaitersOptions {
  readonly hasRoom: (lane: Lane) => boolean;
  readonly startTimer: StartTimer;
}

export function createWaiters({ hasRoom, startTimer }: WaitersOptions): Waiters {
  const waiting: Readonly<Record<Lane, Set<(room: boolean) => void>>> = { kept: new Set(), denied: new Set() };
  return {
    wait: (lane, ms, take) =>
      new Promise((resolve) => {
        const go = (room: boolean): void => {
          cancel();
          waiting[lane].delete(go);
          if (room) take();
          resolve(room);
        };
        const cancel = startTimer(ms, () => go(false));
        waiting[lane].add(go);
      }),
    wake: () => {
      for (const lane of LANES) {
        for (const go of waiting[lane]) {
          if (!hasRoom(lane)) break;
          go(true);
        }
      }
    },
    end: () => {
      for (const lane of LANES) for (const go of waiting[lane]) go(false);
    },
  };
}
