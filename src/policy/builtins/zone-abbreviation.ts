import { ZONE_NAMES } from './zone-names.ts';

/** From a second on: what clocks are called by how far they are ahead of UTC. */
interface Part {
  readonly from: number;
  readonly names: ReadonlyMap<number, string>;
}

/**
 * What a zone's clocks are called: `CET`, or `+03` where they have no name. `undefined` for unknown zones, and before
 * 1970, of which the table knows nothing.
 */
export function abbreviationOf(zone: string, seconds: number, offsetSeconds: number): string | undefined {
  const part = partsOf(zone)?.findLast(({ from }) => from <= seconds);
  return part === undefined ? undefined : (part.names.get(offsetSeconds) ?? numberName(offsetSeconds));
}

let zones: ReadonlyMap<string, string> | undefined;

function partsOf(zone: string): readonly Part[] | undefined {
  zones ??= new Map(
    Object.entries(ZONE_NAMES).flatMap(([names, list]) => list.split(' ').map((name) => [name, names] as const)),
  );
  return zones.get(zone)?.split(';').map(toPart);
}

const NAMED = /^(.*)([+-][0-9]+)$/;

function toPart(text: string): Part {
  const colon = text.indexOf(':');
  const names = new Map<number, string>();
  for (const each of text.slice(colon + 1).split(',')) {
    const [, name = '', offset = ''] = NAMED.exec(each) ?? [];
    if (name !== '') names.set(Number(offset), name);
  }
  return { from: Number(text.slice(0, colon)), names };
}

function numberName(offsetSeconds: number): string {
  const minutes = Math.floor(Math.abs(offsetSeconds) / 60);
  const hours = String(Math.floor(minutes / 60)).padStart(2, '0');
  const rest = minutes % 60 === 0 ? '' : String(minutes % 60).padStart(2, '0');
  return (offsetSeconds < 0 ? '-' : '+') + hours + rest;
}
