import { codePointCount } from './code-points.ts';

/** What stands between `%` and the verb. */
export interface Spec {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  /** What `#` and `+` are before `v`, where they do not mean what they mean elsewhere. */
  sharpV: boolean;
  plusV: boolean;
  width: number | undefined;
  precision: number | undefined;
}

export function plainSpec(): Spec {
  return {
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    sharpV: false,
    plusV: false,
    width: undefined,
    precision: undefined,
  };
}

/** Widths count code points. */
export function pad(text: string, { width, minus, zero }: Spec): string {
  if (width === undefined) return text;
  const missing = width - codePointCount(text);
  if (missing <= 0) return text;
  return minus ? text + ' '.repeat(missing) : (zero ? '0' : ' ').repeat(missing) + text;
}
