import type { Shelf } from './catalog.ts';
import type { ServedBundle } from './config.ts';

export type Labels = ReadonlyMap<string, string>;

/** What the label of an agent may be; a name is not told from another by case. */
export const LABEL_NAME_PATTERN = '^[a-z0-9][a-z0-9._-]{0,62}$';
export const LABEL_VALUE_PATTERN = '^[A-Za-z0-9._:/@-]{0,128}$';

const MAX_LABELS = 32;
const LABEL_NAME = new RegExp(LABEL_NAME_PATTERN);
const LABEL_VALUE = new RegExp(LABEL_VALUE_PATTERN);

/** Reads `x-sallyport-labels`: `key=value`, comma separated. `undefined`: malformed, or a label is there twice. */
export function parseLabels(headers: readonly string[]): Labels | undefined {
  const labels = new Map<string, string>();
  for (const pair of headers.join(',').split(',')) {
    const text = pair.trim();
    if (text === '') continue;
    const equals = text.indexOf('=');
    const name = text.slice(0, equals);
    const value = text.slice(equals + 1);
    if (equals === -1 || !LABEL_NAME.test(name) || !LABEL_VALUE.test(value)) return undefined;
    if (labels.has(name) || labels.size >= MAX_LABELS) return undefined;
    labels.set(name, value);
  }
  return labels;
}

/**
 * The channel an agent belongs to: the first whose labels it all has, else the default. One that nothing was promoted to
 * yet is passed over, so that naming the canaries takes nothing from them.
 */
export function channelFor({ channels }: ServedBundle, labels: Labels, promoted: Shelf['channels']): string {
  for (const { labels: wanted, channel } of channels.select ?? []) {
    const matches = Object.entries(wanted).every(([name, value]) => labels.get(name) === value);
    if (matches && promoted.has(channel)) return channel;
  }
  return channels.default;
}
