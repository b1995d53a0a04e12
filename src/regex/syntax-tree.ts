import type { CharSet } from './char-set.ts';

/** An assertion on the place between two code points. */
export const LOOK = { beginText: 0, endText: 1, beginLine: 2, endLine: 3, wordBoundary: 4, noWordBoundary: 5 } as const;

export type Look = (typeof LOOK)[keyof typeof LOOK];

/** What a pattern says, flags and escapes resolved. */
export type Node =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'look'; readonly look: Look }
  | { readonly kind: 'group'; readonly index: number; readonly body: Node }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | Repeat;

export interface Repeat {
  readonly kind: 'repeat';
  readonly body: Node;
  readonly min: number;
  /** `Infinity` for none. */
  readonly max: number;
  readonly greedy: boolean;
}

export interface ParsedPattern {
  readonly root: Node;
  /** Group 0 is the whole match; a group without a name has `undefined`. */
  readonly groupNames: readonly (string | undefined)[];
  /** The pattern for re2js, which refuses a name that two groups have; Go takes it. */
  readonly judged: string;
}

/** About how many instructions a node compiles to, repeats written out. */
export function sizeOf(node: Node): number {
  switch (node.kind) {
    case 'set':
    case 'look':
      return 1;
    case 'group':
      return 2 + sizeOf(node.body);
    case 'sequence':
      return node.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case 'choice':
      return node.parts.reduce((sum, part) => sum + sizeOf(part) + 1, 0);
    case 'repeat': {
      const copies = node.max === Infinity ? Math.max(node.min, 1) : node.max;
      return copies * (sizeOf(node.body) + 1) + 1;
    }
  }
}

/** Whether a node may match nothing. */
export function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'look':
      return true;
    case 'group':
      return isNullable(node.body);
    case 'sequence':
      return node.parts.every(isNullable);
    case 'choice':
      return node.parts.some(isNullable);
    case 'repeat':
      return node.min === 0 || isNullable(node.body);
  }
}

/** Whether every match of a node begins where the text does. */
export function isAnchored(node: Node): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'look':
      return node.look === LOOK.beginText;
    case 'group':
      return isAnchored(node.body);
    case 'sequence': {
      const first = node.parts[0];
      return first !== undefined && isAnchored(first);
    }
    case 'choice':
      return node.parts.every(isAnchored);
    case 'repeat':
      return node.min > 0 && isAnchored(node.body);
  }
}
