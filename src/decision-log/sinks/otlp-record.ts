import { type LoggedEvent, memberOf, numberAt, textAt } from './logged-event.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string };
}

/** `opentelemetry.proto.logs.v1.LogRecord` in its JSON form: ids in hex, 64-bit numbers as text. */
export interface OtlpRecord {
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly Attribute[];
  readonly traceId?: string;
  readonly spanId?: string;
}

/** One event as a log record; attributes have the names of the semantic conventions where those have one. */
export function otlpRecord(event: LoggedEvent, body: string, observedEpochMs: number): OtlpRecord {
  const [severityNumber, severityText] = severityOf(event);
  const traceId = textAt(event, 'trace_id');
  const spanId = textAt(event, 'span_id');
  return {
    timeUnixNano: unixNano(event.timestamp),
    observedTimeUnixNano: `${Math.floor(observedEpochMs)}000000`,
    severityNumber,
    severityText,
    body: { stringValue: body },
    attributes: attributesOf(event),
    ...(traceId === undefined ? {} : { traceId }),
    ...(traceId === undefined || spanId === undefined ? {} : { spanId }),
  };
}

/** Where an event comes from: its labels, and the process that wrote it. */
export function otlpResource(
  event: LoggedEvent,
  labels: { readonly [name: string]: string },
): { readonly attributes: readonly Attribute[] } {
  const own = memberOf(event, 'labels') ?? labels;
  return {
    attributes: [
      text('service.name', 'sallyport'),
      text('service.instance.id', event.instance_id),
      ...Object.entries(own).flatMap(([name, value]) => (typeof value === 'string' ? [text(name, value)] : [])),
    ],
  };
}

const INFO = [9, 'INFO'] as const;
const WARN = [13, 'WARN'] as const;
const ERROR = [17, 'ERROR'] as const;

function severityOf(event: LoggedEvent): readonly [number, string] {
  if (memberOf(event, 'error') !== undefined) return ERROR;
  return event['decision'] === 'deny' || event['observed'] !== undefined ? WARN : INFO;
}

function attributesOf(event: LoggedEvent): readonly Attribute[] {
  const kind = textAt(event, 'type') ?? 'decision';
  const texts: readonly (readonly [string, string | undefined])[] = [
    ['event.name', `sallyport.${kind}`],
    ['sallyport.decision_id', textAt(event, 'decision_id')],
    ['sallyport.decision', textAt(event, 'decision')],
    ['sallyport.code', textAt(event, 'code')],
    ['sallyport.action', textAt(event, 'action')],
    ['sallyport.route', textAt(event, 'input', 'route', 'name') ?? textAt(event, 'route')],
    ['sallyport.tenant', textAt(event, 'input', 'identity', 'tenant')],
    ['user.id', textAt(event, 'input', 'identity', 'subject')],
    ['client.address', textAt(event, 'input', 'network', 'client_ip') ?? textAt(event, 'address')],
    ['http.request.method', textAt(event, 'input', 'request', 'method')],
    ['url.path', textAt(event, 'input', 'request', 'path')],
  ];
  const status = numberAt(event, 'status');
  return [
    ...texts.flatMap(([key, value]) => (value === undefined ? [] : [text(key, value)])),
    int('sallyport.sequence', event.sequence),
    ...(status === undefined ? [] : [int('http.response.status_code', status)]),
  ];
}

function text(key: string, value: string): Attribute {
  return { key, value: { stringValue: value } };
}

function int(key: string, value: number): Attribute {
  return { key, value: { intValue: String(Math.trunc(value)) } };
}

/** All nine digits of the event's own time; milliseconds where it has another form. */
function unixNano(timestamp: string): string {
  const epochMs = Date.parse(timestamp);
  const digits = /\.(\d{1,9})Z$/.exec(timestamp)?.[1] ?? '';
  return `${Math.floor(epochMs / 1000)}${digits.padEnd(9, '0')}`;
}
