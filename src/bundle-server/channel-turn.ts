import { isObject } from '../decision/json.ts';

/** Where a channel points, and who pointed it there. */
export interface ChannelTurn {
  readonly sha256: string;
  readonly version: number;
  /** RFC 3339. */
  readonly at: string;
  /** The name of the token. */
  readonly by: string;
  /** Counts the turns of this channel from 1. */
  readonly turn: number;
}

export function formatTurn({ sha256, version, at, by }: Omit<ChannelTurn, 'turn'>): string {
  return `${JSON.stringify({ sha256, version, at, by })}\n`;
}

/** Throws an Error for what {@link formatTurn} did not write. */
export function parseTurn(text: string): Omit<ChannelTurn, 'turn'> {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new Error('it is no JSON object');
  const { sha256, version, at, by } = value;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) throw new Error('it names no archive');
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) throw new Error('it names no version');
  if (typeof at !== 'string' || typeof by !== 'string') throw new Error('it does not say when and by whom');
  return { sha256, version, at, by };
}
