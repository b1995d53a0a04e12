import { toSafeLine } from '../../telemetry/json-line.ts';
import type { EventFormat } from './config-types.ts';
import { toEcs } from './ecs.ts';
import { type LoggedEvent, readEvent } from './logged-event.ts';
import { toOcsf } from './ocsf.ts';

/** Writes an event for its readers: JSON on one line, without a newline. `line` is the event's own. */
export function formatEvent(format: EventFormat, event: LoggedEvent, line: string): string {
  switch (format) {
    case 'native':
      return withoutNewline(line);
    case 'ecs':
      return toSafeLine(JSON.stringify(toEcs(event)));
    case 'ocsf':
      return toSafeLine(JSON.stringify(toOcsf(event)));
  }
}

/**
 * The same for a line that nobody has read yet; `undefined` where it is no event. A native line is not read: the spool has
 * its checksum.
 */
export function createEncode(format: EventFormat): (line: string) => string | undefined {
  if (format === 'native')
    return (line) => (line.startsWith('{') && WHOLE.test(line) ? withoutNewline(line) : undefined);
  return (line) => {
    const event = readEvent(line);
    return event === undefined ? undefined : formatEvent(format, event, line);
  };
}

const WHOLE = /\}\n?$/;

function withoutNewline(line: string): string {
  return line.endsWith('\n') ? line.slice(0, -1) : line;
}
