import { toSafeLine } from '../telemetry/json-line.ts';
import { redactText } from '../telemetry/redact.ts';
import { type EventParts, toTimestamp } from './event.ts';
import { cut } from './event-copy.ts';

/** What the service or an operator did, in the log beside the decisions. */
export interface AdministrativeEvent {
  /** `bundle_activated`, `rollout_changed`, `config_loaded`, `usage_refused` … */
  readonly action: string;
  readonly details?: { readonly [name: string]: string | number | boolean | null };
}

/** As one line; texts are cut, and what looks like a credential in them is replaced. */
export function writeAdministrative(
  { action, details = {} }: AdministrativeEvent,
  epochMs: number,
  { sequence, instanceId, labels }: EventParts,
): string {
  const kept = Object.entries(details)
    .slice(0, MAX_DETAILS)
    .map(([name, value]) => [
      cut(name, MAX_NAME),
      typeof value === 'string' ? cut(redactText(value), MAX_DETAIL) : value,
    ]);
  return `${toSafeLine(
    JSON.stringify({
      type: 'administrative',
      sequence,
      instance_id: instanceId,
      timestamp: toTimestamp(epochMs),
      labels,
      action: cut(action, MAX_NAME),
      details: Object.fromEntries(kept),
    }),
  )}\n`;
}

const MAX_DETAILS = 16;
const MAX_NAME = 64;
const MAX_DETAIL = 256;
