import type { Lane } from './lane.ts';
import { CHUNK_LENGTH } from './sink-writer.ts';

/** Lines that wait for company, so that few system calls write many. */
export interface GatheredLines {
  push(line: string, lane: Lane): void;
  /** All of them, or of one lane. */
  waiting(lane?: Lane): number;
  /** Passes on what waits, now. */
  flush(): void;
}

export interface GatheredLinesOptions {
  /** Calls back once, after lines had some time to gather; not waited for by what makes a write of its own. */
  readonly gather: (run: () => void) => void;
  /** Must not throw. */
  readonly passOn: (line: string, lane: Lane) => void;
}

export function createGatheredLines({ gather, passOn }: GatheredLinesOptions): GatheredLines {
  let lines: string[] = [];
  let lanes: Lane[] = [];
  let length = 0;
  let denied = 0;
  let planned = false;

  const flush = (): void => {
    const [due, dueLanes] = [lines, lanes];
    lines = [];
    lanes = [];
    length = 0;
    denied = 0;
    for (const [at, line] of due.entries()) passOn(line, dueLanes[at] ?? 'kept');
  };
  return {
    push: (line, lane) => {
      if (lines.length > 0 && length + line.length > CHUNK_LENGTH) flush();
      lines.push(line);
      lanes.push(lane);
      length += line.length;
      if (lane === 'denied') denied += 1;
      if (planned) return;
      planned = true;
      gather(() => {
        planned = false;
        flush();
      });
    },
    waiting: (lane) => (lane === undefined ? lines.length : lane === 'denied' ? denied : lines.length - denied),
    flush,
  };
}
