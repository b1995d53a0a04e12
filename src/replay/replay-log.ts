import { recordedAnswer } from './answer.ts';
import { createImpactSum, type Impact, type ImpactSum, routeOf, tenantOf } from './impact.ts';
import { readLogLines } from './log-lines.ts';
import { parseLogLine, type RecordedDecision } from './recorded-event.ts';
import type { Replay, ReplayBundle } from './replayer.ts';
import { createSeenEvents } from './seen-events.ts';

export interface ReplayLogOptions {
  readonly files: readonly string[];
  readonly replay: Replay;
  readonly bundle: ReplayBundle;
  /** What answers are compared with; absent: with what the log says. */
  readonly compareWith?: ReplayBundle;
  readonly only: EventFilter;
  /** Called after every {@link PROGRESS_EVERY} lines. */
  readonly progress: (lines: number) => void;
}

export interface EventFilter {
  readonly tenant?: string;
  readonly route?: string;
}

export const PROGRESS_EVERY = 100_000;

/** Reads logs one after the other and sums up what another bundle would answer. Throws where a file cannot be read. */
export async function replayLog(options: ReplayLogOptions): Promise<Impact> {
  const sum = createImpactSum();
  const seen = createSeenEvents();
  let lines = 0;
  for (const file of options.files) {
    for await (const line of readLogLines(file)) {
      lines += 1;
      if (lines % PROGRESS_EVERY === 0) options.progress(lines);
      sum.line('lines');
      if (line.kind === 'unreadable') {
        sum.line('damaged');
        continue;
      }
      const read = parseLogLine(line.text);
      if (read.kind === 'other' || read.kind === 'damaged') {
        sum.line(read.kind);
        continue;
      }
      if (!seen.add(read.kind === 'decision' ? read.event : read.numbered)) sum.line('duplicates');
      else if (read.kind === 'decision') await replayEvent(read.event, options, sum);
      else if (read.kind === 'aggregate') {
        sum.line('aggregates');
        sum.line('aggregated', read.count);
      } else sum.line(read.kind === 'stub' ? 'stubs' : 'administrative');
    }
  }
  return sum.total();
}

async function replayEvent(
  event: RecordedDecision,
  { replay, bundle, compareWith, only }: ReplayLogOptions,
  sum: ImpactSum,
): Promise<void> {
  if (only.tenant !== undefined && only.tenant !== tenantOf(event)) return sum.line('filtered');
  if (only.route !== undefined && only.route !== routeOf(event)) return sum.line('filtered');
  const after = await replay(event, bundle);
  if (after.kind === 'unknown') return sum.unknown(event, after.ignorances);
  if (compareWith === undefined) {
    if (after.kind === 'core') return sum.core(event);
    const before = recordedAnswer(event);
    return after.kind === 'routed' ? sum.routed(event, before) : sum.answered(event, before, after.answer);
  }
  const before = await replay(event, compareWith);
  if (before.kind === 'unknown') return sum.unknown(event, before.ignorances);
  const told = before.kind === 'answered' ? before.answer : recordedAnswer(event);
  // What the two route tables say of it alike is no difference of theirs.
  if (after.kind === before.kind && after.kind !== 'answered') return sum.core(event);
  if (after.kind === 'routed') return sum.routed(event, told);
  if (before.kind === 'routed') return sum.unknown(event, [{ why: 'not_told', path: 'request' }]);
  return sum.answered(event, told, after.kind === 'answered' ? after.answer : recordedAnswer(event));
}
