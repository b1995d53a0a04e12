import { isIP } from 'node:net';
import { type LoggedEvent, memberOf, textAt, textsAt } from './logged-event.ts';

/** `dropped` is what is left of an event that a policy kept out of the log. */
export type EventKind = 'decision' | 'aggregate' | 'administrative' | 'dropped';

export function kindOf(event: LoggedEvent): EventKind {
  const type = event['type'];
  if (type === 'aggregate' || type === 'administrative') return type;
  return event['dropped'] === true ? 'dropped' : 'decision';
}

/** The code of a denial and the policy's reasons, in one line. */
export function reasonOf(event: LoggedEvent): string | undefined {
  const texts = [textAt(event, 'code'), ...textsAt(event, 'reasons')].filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts.join(', ');
}

/** What happened, in a line for people. */
export function messageOf(event: LoggedEvent): string {
  const kind = kindOf(event);
  if (kind === 'administrative') return textAt(event, 'action') ?? 'administrative';
  const words = [textAt(event, 'decision'), reasonOf(event)].filter((word) => word !== undefined);
  return kind === 'decision' ? words.join(': ') : `${kind} ${words.join(': ')}`;
}

/** The client: its address where it is one, else what is known in its place. */
export function clientOf(event: LoggedEvent): { readonly ip?: string; readonly name?: string } {
  const address = textAt(event, 'input', 'network', 'client_ip') ?? textAt(event, 'address');
  if (address === undefined) return {};
  return isIP(address) === 0 ? { name: address } : { ip: address };
}

/** The host without its port. */
export function hostOf(event: LoggedEvent): string | undefined {
  return textAt(event, 'input', 'request', 'host')?.replace(PORT, '');
}

const PORT = /:\d{1,5}$/;

export function pathOf(event: LoggedEvent): string | undefined {
  return textAt(event, 'input', 'request', 'path') ?? textAt(event, 'input', 'request', 'raw_path');
}

export function routeOf(event: LoggedEvent): string | undefined {
  return textAt(event, 'input', 'route', 'name') ?? textAt(event, 'route');
}

/** Names of the bundles that decided, and their revisions, in the same order. */
export function bundlesOf(event: LoggedEvent): {
  readonly names: readonly string[];
  readonly revisions: readonly string[];
} {
  const names = Object.keys(memberOf(event, 'bundles') ?? {});
  return { names, revisions: names.map((name) => textAt(event, 'bundles', name, 'revision') ?? '') };
}
