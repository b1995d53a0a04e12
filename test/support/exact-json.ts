/**
 * A JSON reader that loses nothing: objects become Maps (so `__proto__` is a key), numbers become {@link comparable}
 * values. Only for tests; it trusts its input to be JSON.
 */
export function parseExact(text: string): unknown {
  return comparable(
    JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) => {
      if (typeof value === 'number') return new NumberText(context?.source ?? String(value));
      if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof NumberText)
        return value;
      return new Map(Object.entries(value));
    }),
  );
}

/**
 * Brings JSON values to one form in which `toEqual` compares them as values: objects as Maps, numbers as their exact
 * value (1.0 is 1, -0 is 0, 9007199254740993 is not 9007199254740992).
 */
export function comparable(value: unknown): unknown {
  if (value instanceof NumberText) return exactNumber(value.text);
  if (typeof value === 'number') return exactNumber(String(value));
  if (typeof value === 'bigint') return exactNumber(value.toString());
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, comparable(one)]));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, one]) => one !== undefined);
  return new Map(members.map(([key, one]) => [key, comparable(one)]));
}

class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** Digits without leading and trailing zeros, and the power of ten they are multiplied with. */
function exactNumber(text: string): string {
  const match = NUMBER.exec(text);
  if (match === null) throw new Error(`\`${text}\` is not a JSON number`);
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  if (trimmed === '') return 'number 0';
  return `number ${sign}${trimmed}e${Number(exponent) - fraction.length + digits.length - trimmed.length}`;
}
