import { isObject } from '../../decision/json.ts';
import { toSafeLine } from '../../telemetry/json-line.ts';
import type { RemoteSink } from '../sink.ts';
import type { OtlpSinkConfig } from './config-types.ts';
import { formatEvent } from './format.ts';
import { type LoggedEvent, readEvent } from './logged-event.ts';
import { otlpRecord, otlpResource } from './otlp-record.ts';
import { createPostedSink, type Encoded, type Settled, type Wire } from './posted-sink.ts';
import type { RemoteSinkParts } from './remote-sinks.ts';
import { createTarget } from './target.ts';

/** Posts events as OTLP log records over HTTP with JSON; the whole event is the body, and what is asked for often an attribute. */
export function createOtlpSink(config: OtlpSinkConfig, parts: RemoteSinkParts): RemoteSink {
  const { name, batch, format } = config;
  const wire: Wire = {
    contentType: 'application/json',
    encode: (line) => {
      const event = readEvent(line);
      if (event === undefined) return undefined;
      const record = otlpRecord(event, formatEvent(format, event, line), parts.clock.now().epochMs);
      return { text: toJson(record), group: resourceOf(event, parts) };
    },
    frame: (entries) => `{"resourceLogs":[${runsOf(entries).map(frameRun).join(',')}]}`,
    settle: settleOtlp,
  };
  return createPostedSink({ name, batch, wire, target: createTarget({ config, ...parts }) });
}

/** `partialSuccess` says how many were refused, not which; they must not be sent again (OTLP 1.x, "Partial Success"). */
export function settleOtlp(body: string, count: number): Settled {
  const answer: unknown = body.trim() === '' ? {} : JSON.parse(body);
  if (!isObject(answer)) throw new Error('it is no object');
  const partial = answer['partialSuccess'];
  const number = isObject(partial) ? Number(partial['rejectedLogRecords'] ?? 0) : 0;
  if (!Number.isSafeInteger(number) || number < 0) throw new Error('it counts what no count can be');
  // Any will do: they are counted, and never sent again.
  const refused = Array.from({ length: Math.min(number, count) }, (_, at) => at);
  return { refused, again: [], ...(number === 0 ? {} : { reason: 'partial success' }) };
}

function toJson(value: unknown): string {
  return toSafeLine(JSON.stringify(value));
}

/** Stubs carry no labels of their own. */
function resourceOf(event: LoggedEvent, { labels }: RemoteSinkParts): string {
  return toJson(otlpResource(event, labels));
}

interface Run {
  readonly group: string;
  readonly texts: string[];
}

/** Neighbours of one resource; the order stays. */
function runsOf(entries: readonly Encoded[]): readonly Run[] {
  const runs: Run[] = [];
  for (const { text, group = '' } of entries) {
    const last = runs.at(-1);
    if (last?.group === group) last.texts.push(text);
    else runs.push({ group, texts: [text] });
  }
  return runs;
}

function frameRun({ group, texts }: Run): string {
  return `{"resource":${group},"scopeLogs":[{"scope":{"name":"sallyport.decision_log"},"logRecords":[${texts.join(',')}]}]}`;
}
