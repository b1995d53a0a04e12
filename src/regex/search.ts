import type { Places } from './thread-machine.ts';

/** One way to find a pattern in a text. */
export interface Search {
  /** About the steps that a code point of a text costs {@link test}; an integer of 1 or more. */
  readonly weight: number;
  readonly test: (text: string) => boolean;
  /** The leftmost match at `from` or behind it, its groups only when they are asked for. */
  readonly exec: (text: string, from: number, groups: boolean) => Places | undefined;
}
