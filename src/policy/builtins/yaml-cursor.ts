/** How far comments are looked for: so far, and no further, does go-yaml. */
const FURTHEST = 512;

/** A place in a text that is read once, from its beginning to its end. Columns and indexes count characters. */
export class YamlCursor {
  readonly #text: string;
  #at = 0;
  index = 0;
  line = 0;
  column = 0;
  /** Line breaks since the last character that is no blank. */
  breaks = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Where a run of characters begins that {@link since} gives. */
  get at(): number {
    return this.#at;
  }

  /** The UTF-16 unit there, or so many further on; empty at the end. */
  unit(ahead = 0): string {
    return this.#text[this.#at + ahead] ?? '';
  }

  since(start: number): string {
    return this.#text.slice(start, this.#at);
  }

  /** Moves on by characters of which none is a line break. */
  skip(count = 1): void {
    for (let left = count; left > 0; left--) {
      if (!isBlank(this.unit())) this.breaks = 0;
      this.#at += isHighSurrogate(this.unit()) ? 2 : 1;
      this.index++;
      this.column++;
    }
  }

  /** Moves over a line break, and says what it stands for in a text; empty where there is none. */
  readBreak(): string {
    const unit = this.unit();
    if (!isBreak(unit)) return '';
    const length = unit === '\r' && this.unit(1) === '\n' ? 2 : 1;
    this.#at += length;
    this.index += length;
    this.column = 0;
    this.line++;
    this.breaks++;
    return unit === '\u2028' || unit === '\u2029' ? unit : '\n';
  }

  /** Moves on to the end of the line. */
  skipLine(): void {
    while (!isBreakOrEnd(this.unit())) this.skip();
  }

  skipBlanks(): void {
    while (isBlank(this.unit())) this.skip();
  }

  /** Whether a line begins here with `---` or `...`. */
  atDocumentMark(): boolean {
    if (this.column !== 0 || !isBlankOrEnd(this.unit(3))) return false;
    const three = this.#text.slice(this.#at, this.#at + 3);
    return three === '---' || three === '...';
  }

  /** Moves to the end of the comment that begins here, and of those below it, which may stand behind tabs. */
  skipComments(): void {
    this.skipLine();
    while (this.unit() === '\n' || this.unit() === '\r') {
      let ahead = 1;
      while (ahead < FURTHEST && /[ \t\r\n]/.test(this.unit(ahead))) ahead++;
      if (ahead === FURTHEST || this.unit(ahead) !== '#') return;
      for (const end = this.#at + ahead; this.#at < end; ) if (this.readBreak() === '') this.skip();
      this.skipLine();
    }
  }

  /** The same of a comment on the line of the token that is read. */
  skipLineComment(): void {
    if (this.breaks > 0) return;
    let ahead = 0;
    while (ahead < FURTHEST && isBlank(this.unit(ahead))) ahead++;
    if (ahead < FURTHEST && this.unit(ahead) === '#') this.skipLine();
  }
}

export function isBlank(unit: string): boolean {
  return unit === ' ' || unit === '\t';
}

/** The line breaks of YAML 1.1. */
export function isBreak(unit: string): boolean {
  return unit === '\n' || unit === '\r' || unit === '\u0085' || unit === '\u2028' || unit === '\u2029';
}

export function isBreakOrEnd(unit: string): boolean {
  return unit === '' || isBreak(unit);
}

export function isBlankOrEnd(unit: string): boolean {
  return isBlank(unit) || isBreakOrEnd(unit);
}

/** What a `SyntaxError` says of a text: the line where a thing began that is not right, or the line where that shows. */
export function yamlFault(problem: string, begun: number, found: number): SyntaxError {
  const line = begun === 0 ? found : begun;
  return new SyntaxError(line === 0 ? `yaml: ${problem}` : `yaml: line ${line}: ${problem}`);
}

/** The same of characters, whose lines are counted from 1. */
export function scanFault(problem: string, begun: number, cursor: YamlCursor): SyntaxError {
  return yamlFault(problem, begun === 0 ? 0 : begun + 1, cursor.line === 0 ? 0 : cursor.line + 1);
}

function isHighSurrogate(unit: string): boolean {
  return unit >= '\ud800' && unit <= '\udbff';
}
