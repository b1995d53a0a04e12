import { asText, type Document } from './document.ts';
import { type LoggedEvent, memberOf, textAt, textsAt } from './logged-event.ts';

/**
 * What neither schema has a place for and both documents carry among our own fields. What policies and callers shape is
 * written as text, so that no two of them make a store's mapping conflict.
 */
export function ownDetails(event: LoggedEvent): Document {
  return {
    inference: asText(memberOf(event, 'input', 'inference')),
    quota: asText(memberOf(event, 'input', 'quota')),
    params: asText(memberOf(event, 'input', 'route', 'params')),
    charges: asText(event['charges']),
    observed: asText(event['observed']),
    result: asText(event['result']),
    details: asText(event['details']),
    metrics: asText(event['metrics']),
    erased: textsAt(event, 'erased'),
    masked: textsAt(event, 'masked'),
    demo: event['demo'],
    dropped: event['dropped'],
    first_decision_id: textAt(event, 'first_decision_id'),
    last_decision_id: textAt(event, 'last_decision_id'),
  };
}
