import { EDGE } from './alphabet.ts';
import { LOOK } from './syntax-tree.ts';

/** Whether an assertion holds between two neighbours of these kinds. */
export function holds(look: number, before: number, after: number): boolean {
  switch (look) {
    case LOOK.beginText:
      return before === EDGE.text;
    case LOOK.endText:
      return after === EDGE.text;
    case LOOK.beginLine:
      return before === EDGE.text || before === EDGE.newline;
    case LOOK.endLine:
      return after === EDGE.text || after === EDGE.newline;
    case LOOK.wordBoundary:
      return (before === EDGE.word) !== (after === EDGE.word);
    default:
      return (before === EDGE.word) === (after === EDGE.word);
  }
}
